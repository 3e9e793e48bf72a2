// GPT-2: learned positions, layer norms and biases everywhere, a feed-forward without gate.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_gpt2(ModelMetadata& m) {
  const NormStyle style = layer_norm(m, Presence::kRequired);
  ModelSpec spec = decoder(m, style);
  learned_positions(m, spec);
  for_each_layer(m, spec, [&](int64_t i, LayerSpec& layer) {
    pre_norms(m, style, i, layer);
    layer.mixer = attention(m, i, {.bias = Presence::kRequired, .out_bias = Presence::kRequired});
    layer.ffn = dense_ffn(
        m, i, {.activation = Activation::kGelu, .gated = false, .bias = Presence::kRequired});
  });
  return spec;
}

}  // namespace llmrun::models
