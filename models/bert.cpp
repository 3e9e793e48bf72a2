// BERT and XLM-RoBERTa: learned positions, biases everywhere, norms of the sums, GELU.
#include "models/common/encoder.h"

namespace llmrun::models {

ModelSpec build_bert(ModelMetadata& m) {
  const NormStyle style = layer_norm(m, Presence::kRequired);
  ModelSpec spec = encoder(m, style);
  learned_positions(m, spec);
  for_each_layer(m, spec, [&](int64_t i, LayerSpec& layer) {
    norms_of_sums(m, style, i, layer);
    layer.mixer = attention(m, i, {.out_bias = Presence::kOptional});
    layer.ffn = dense_ffn(
        m, i, {.activation = Activation::kGeluErf, .gated = false, .bias = Presence::kOptional});
  });
  return spec;
}

}  // namespace llmrun::models
