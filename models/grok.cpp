// Grok 1 and 2: four norms per layer, scores capped and not scaled by the head size, GELU experts
// beside an optional dense feed-forward with which they are averaged in the mean square.
#include <cmath>

#include "models/common.h"

namespace llmrun::models {
namespace {

// YaRN with keys of its own: an extrapolation factor of 0 turns it off, below 0 leaves it to
// rope.scaling.type.
runtime::Rope grok_rope(ModelMetadata& m) {
  runtime::Rope kind =
      rope(m, {.split_halves = true, .yarn_beta_keys = true, .yarn_beta_fast = 8.0F});
  if (m.number("rope.scaling.yarn_ext_factor", -1.0F) == 0.0F) {
    kind.scaling = runtime::RopeScaling::kLinear;
    kind.magnitude = m.number("rope.scaling.attn_factor", 1.0F) *
                     m.number("rope.scaling.yarn_attn_factor", 1.0F);
  }
  return kind;
}

runtime::MoeFfn grok_experts(ModelMetadata& m, int64_t layer) {
  const int64_t width = m.has("expert_feed_forward_length") ? expert_width(m, layer) : 0;
  runtime::MoeFfn ffn = moe_ffn(m, layer, {.n_ff = width, .activation = Activation::kGelu});
  if (m.has_tensor(block(layer, "ffn_up.weight"))) {
    ffn.shared = dense_ffn(m, layer, {.activation = Activation::kGelu});
    ffn.output_scale = std::sqrt(0.5F);
  }
  return ffn;
}

}  // namespace

ModelSpec build_grok(ModelMetadata& m) {
  const NormStyle style = rms_norm(m);
  ModelSpec spec = decoder(m, style);
  spec.embedding.scale = m.number("embedding_scale", 78.38367176906169F);
  spec.head.logit_scale = m.number("logit_scale", 0.5773502691896257F);
  spec.head.soft_cap = m.number("final_logit_softcapping", 0.0F);
  const AttentionOptions options{.rope = add_rope(spec, grok_rope(m)),
                                 .scale = m.number("attention.output_scale", 0.08838834764831845F),
                                 .soft_cap = m.number("attn_logit_softcapping", 30.0F)};
  for_each_layer(m, spec, [&](int64_t i, LayerSpec& layer) {
    pre_norms(m, style, i, layer);
    const bool old_name = m.has_tensor(block(i, "layer_output_norm.weight"));
    layer.mixer_post_norm = norm(style, block(i, "attn_output_norm"), m.d_model());
    layer.ffn_post_norm =
        norm(style, block(i, old_name ? "layer_output_norm" : "post_ffw_norm"), m.d_model());
    layer.mixer = attention(m, i, options);
    layer.ffn = grok_experts(m, i);
  });
  return spec;
}

}  // namespace llmrun::models
