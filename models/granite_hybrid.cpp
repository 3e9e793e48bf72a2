// Granite 4: Mamba 2, attention in some layers, Granite's four multipliers.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_granite_hybrid(ModelMetadata& m) {
  const NormStyle style = rms_norm(m);
  ModelSpec spec = decoder(m, style);
  int rope = add_rope(m, spec, {.factors = Factors::kRopeFreqs});
  if (!m.boolean("rope.scaling.finetuned", true)) rope = runtime::kNoRope;
  const AttentionOptions options{
      .rope = rope, .out_bias = Presence::kOptional, .scale = m.number("attention.scale", 0.0F)};
  const FfnOf ffn =
      dense_or_experts(m, {.bias = Presence::kOptional},
                       {.gate = Presence::kOptional,
                        .shared_ff = m.integer("expert_shared_feed_forward_length", 0, kWidths)});
  for_each_layer(m, spec, [&](int64_t i, LayerSpec& layer) {
    pre_norms(m, style, i, layer);
    if (is_recurrent(m, i)) {
      layer.mixer = mamba2(m, i, style);
    } else {
      layer.mixer = attention(m, i, options);
    }
    layer.ffn = ffn(i);
  });
  apply_scales(m, spec, {});
  return spec;
}

}  // namespace llmrun::models
