// Jais 2: layer norms and biases everywhere, a feed-forward that squares a ReLU and has no gate.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_jais2(ModelMetadata& m) {
  return plain_decoder(
      m, layer_norm(m, Presence::kRequired),
      {.rope = {.split_halves = true},
       .attention = {.out_bias = Presence::kRequired},
       .ffn = every_layer_dense(
           m, {.activation = Activation::kRelu2, .gated = false, .bias = Presence::kRequired})});
}

}  // namespace llmrun::models
