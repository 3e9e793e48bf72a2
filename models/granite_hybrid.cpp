// Granite 4: Mamba 2, attention in some layers, Granite's four multipliers.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_granite_hybrid(ModelMetadata& m) {
  const NormStyle style = rms_norm(m);
  ModelSpec spec = decoder(m, style);
  spec.embedding.scale = one_if_zero(m.number("embedding_scale", 0.0F));
  spec.head.logit_scale = 1.0F / one_if_zero(m.number("logit_scale", 0.0F));
  int rope = add_rope(m, spec, {.factors = Factors::kRopeFreqs});
  if (!m.boolean("rope.scaling.finetuned", true)) rope = runtime::kNoRope;
  const float residual_scale = one_if_zero(m.number("residual_scale", 0.0F));
  const AttentionOptions options{
      .rope = rope, .out_bias = Presence::kOptional, .scale = m.number("attention.scale", 0.0F)};
  const int64_t shared = m.integer("expert_shared_feed_forward_length", 0, kWidths);
  for_each_layer(m, spec, [&](int64_t i, LayerSpec& layer) {
    pre_norms(m, style, i, layer);
    layer.branch_scale = residual_scale;
    if (is_recurrent(m, i)) {
      layer.mixer = mamba2(m, i, style);
    } else {
      layer.mixer = attention(m, i, options);
    }
    layer.ffn = dense_or_moe(m, i, {.bias = Presence::kOptional},
                             {.gate = Presence::kOptional, .shared_ff = shared});
  });
  return spec;
}

}  // namespace llmrun::models
