// Nomic's BERT: a rotary embedding instead of learned positions. Version 1 has SwiGLU; version 2
// has plain GELU layers in turn with layers of experts whose weights are not normalised.
#include "models/common/encoder.h"

namespace llmrun::models {

ModelSpec build_nomic_bert(ModelMetadata& m) {
  const NormStyle style = layer_norm(m, Presence::kRequired);
  ModelSpec spec = encoder(m, style);
  const int rope = add_rope(m, spec, {.split_halves = true});
  const bool gated = m.has_tensor("blk.0.ffn_gate.weight");
  const int64_t period = m.integer("moe_every_n_layers", 0, {0, runtime::kMaxLayers});
  const DenseOptions dense{.activation = gated ? Activation::kSilu : Activation::kGeluErf,
                           .gated = gated,
                           .bias = Presence::kOptional};
  for_each_layer(m, spec, [&](int64_t i, LayerSpec& layer) {
    norms_of_sums(m, style, i, layer);
    layer.mixer = attention(m, i, {.rope = rope, .out_bias = Presence::kOptional});
    if (period > 0 && i % period == 1) {
      layer.ffn = moe_ffn(
          m, i,
          {.normalise = false, .gate = Presence::kOptional, .activation = Activation::kGeluErf});
    } else {
      layer.ffn = dense_ffn(m, i, dense);
    }
  });
  return spec;
}

}  // namespace llmrun::models
