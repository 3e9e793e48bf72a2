// Granite 3 (dense and with experts): Llama with four multipliers.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_granite(ModelMetadata& m) {
  const NormStyle style = rms_norm(m);
  ModelSpec spec = decoder(m, style);
  spec.embedding.scale = one_if_zero(m.number("embedding_scale", 0.0F));
  spec.head.logit_scale = 1.0F / one_if_zero(m.required_number("logit_scale"));
  int rope = add_rope(m, spec, {.factors = Factors::kByScalingType});
  if (!m.boolean("rope.scaling.finetuned", true)) rope = runtime::kNoRope;
  const float residual_scale = one_if_zero(m.number("residual_scale", 0.0F));
  const float score_scale = m.number("attention.scale", 0.0F);
  const int64_t shared = m.integer("expert_shared_feed_forward_length", 0, kWidths);
  for_each_layer(m, spec, [&](int64_t i, LayerSpec& layer) {
    pre_norms(m, style, i, layer);
    layer.branch_scale = residual_scale;
    layer.mixer =
        attention(m, i, {.rope = rope, .out_bias = Presence::kOptional, .scale = score_scale});
    layer.ffn = dense_or_moe(m, i, {.bias = Presence::kOptional},
                             {.gate = Presence::kOptional, .shared_ff = shared});
  });
  return spec;
}

}  // namespace llmrun::models
