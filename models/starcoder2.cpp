// StarCoder 2: layer norms and biases everywhere, a feed-forward without gate.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_starcoder2(ModelMetadata& m) {
  const NormStyle style = layer_norm(m, Presence::kRequired);
  ModelSpec spec = decoder(m, style);
  const int rope = add_rope(m, spec, {.split_halves = true});
  for_each_layer(m, spec, [&](int64_t i, LayerSpec& layer) {
    pre_norms(m, style, i, layer);
    layer.mixer = attention(m, i, {.rope = rope, .out_bias = Presence::kRequired});
    layer.ffn = dense_ffn(
        m, i, {.activation = Activation::kGelu, .gated = false, .bias = Presence::kRequired});
  });
  return spec;
}

}  // namespace llmrun::models
