// Nemotron H, dense and with experts: each layer is one block, Mamba 2, attention without
// positions, or a feed-forward that squares a ReLU.
#include "models/common.h"

namespace llmrun::models {
namespace {

runtime::Ffn feed_forward(ModelMetadata& m, int64_t layer) {
  if (m.n_experts() == 0) {
    return dense_ffn(
        m, layer, {.activation = Activation::kRelu2, .gated = false, .bias = Presence::kOptional});
  }
  const int64_t latent = m.has_tensor(block(layer, "ffn_latent_down.weight"))
                             ? m.integer("moe_latent_size", 0, kWidths)
                             : 0;
  MoeOptions options = keyed_experts(m, RouterKind::kSigmoid);
  options.gate = Presence::kNever;
  options.selection_bias = Presence::kRequired;
  options.activation = Activation::kRelu2;
  options.shared_ff = m.required_integer("expert_shared_feed_forward_length", kCounts);
  options.latent = latent;
  runtime::MoeFfn ffn = moe_ffn(m, layer, options);
  if (latent > 0) {
    ffn.latent_down = linear(block(layer, "ffn_latent_down"), m.d_model(), latent);
    ffn.latent_up = linear(block(layer, "ffn_latent_up"), latent, m.d_model());
  }
  return ffn;
}

}  // namespace

ModelSpec build_nemotron_h(ModelMetadata& m) {
  NormStyle style{.kind = runtime::NormKind::kRms,
                  .eps = m.required_number("attention.layer_norm_epsilon")};
  style.eps = m.number("attention.layer_norm_rms_epsilon", style.eps);
  ModelSpec spec = decoder(m, style);
  const AttentionOptions options{.out_bias = Presence::kOptional};
  for_each_layer(m, spec, [&](int64_t i, LayerSpec& layer) {
    const bool is_ffn = m.n_ff(i) > 0;
    (is_ffn ? layer.ffn_norm : layer.mixer_norm) = norm(style, block(i, "attn_norm"), m.d_model());
    if (is_ffn) {
      layer.ffn = feed_forward(m, i);
    } else if (is_recurrent(m, i)) {
      layer.mixer = mamba2(m, i, style);
    } else {
      layer.mixer = attention(m, i, options);
    }
  });
  return spec;
}

}  // namespace llmrun::models
