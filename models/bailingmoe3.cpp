// Ling 3: Kimi Delta Attention with bounded decays, latent attention with a gate per head in some
// layers, experts; hidden values may be clamped.
#include <algorithm>

#include "models/common.h"

namespace llmrun::models {
namespace {

MoeOptions experts(ModelMetadata& m) {
  const int64_t width = m.required_integer("expert_feed_forward_length", kCounts);
  const int64_t n_shared = m.integer("expert_shared_count", 1, kExpertCounts);
  MoeOptions options = keyed_experts(m, required_router(m));
  options.selection_bias = Presence::kRequired;
  options.shared_ff = m.integer("expert_shared_feed_forward_length",
                                width * std::max(int64_t{1}, n_shared), kCounts);
  return options;
}

// One limit per layer; 0: none.
std::vector<float> limits(ModelMetadata& m, std::string_view key) {
  if (m.has(key)) return m.required_numbers(key);
  return std::vector<float>(static_cast<size_t>(m.n_layers()), 0.0F);
}

template <typename FeedForward>
void clamp_hidden(float limit, FeedForward& ffn) {
  ffn.limit = limit > 1e-6F ? limit : 0.0F;
  ffn.form.limit_activated = true;
}

runtime::LatentAttention gated_latent_attention(ModelMetadata& m, int64_t layer, int rope) {
  runtime::LatentAttention mixer = latent_attention(m, layer, {.rope = rope});
  mixer.gate = {.linear = linear(block(layer, "attn_gate"), m.d_model(), mixer.n_heads)};
  return mixer;
}

}  // namespace

ModelSpec build_bailingmoe3(ModelMetadata& m) {
  const NormStyle style = rms_norm(m);
  ModelSpec spec = decoder(m, style);
  const int rope = add_rope(m, spec, sectioned_rope(m));
  if (!m.boolean("kda.safe_gate", true)) {
    m.fail(ErrorCode::kUnsupported, "kda.safe_gate is off, and only its safe form is known");
  }
  const KimiDeltaOptions delta{.decay_bound = m.required_number("kda.gate_lower_bound")};
  const std::vector<float> expert_limits = limits(m, "swiglu_clamp_exp");
  const std::vector<float> dense_limits = limits(m, "swiglu_clamp_shexp");  // shared experts too
  const FfnOf ffn = experts_after_dense(m, experts(m));
  for_each_layer(m, spec, [&](int64_t i, LayerSpec& layer) {
    pre_norms(m, style, i, layer);
    if (is_recurrent(m, i)) {
      layer.mixer = kimi_delta(m, i, delta);
    } else {
      layer.mixer = gated_latent_attention(m, i, rope);
    }
    layer.ffn = ffn(i);
    const auto at = static_cast<size_t>(i);
    if (auto* dense = std::get_if<runtime::DenseFfn>(&layer.ffn)) {
      clamp_hidden(dense_limits[at], *dense);
    }
    if (auto* moe = std::get_if<runtime::MoeFfn>(&layer.ffn)) {
      clamp_hidden(expert_limits[at], *moe);
      if (moe->shared) clamp_hidden(dense_limits[at], *moe->shared);
    }
  });
  return spec;
}

}  // namespace llmrun::models
