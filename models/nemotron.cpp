// Nemotron 4 and Minitron: layer norms and squared ReLU without a gate. The "+1" of its norms is in
// the file's weights.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_nemotron(ModelMetadata& m) {
  return plain_decoder(
      m, layer_norm(m, Presence::kRequired),
      {.whole = {.tie = Tie::kNever},
       .rope = {.split_halves = true},
       .attention = {.out_bias = Presence::kOptional},
       .ffn = every_layer_dense(
           m, {.activation = Activation::kRelu2, .gated = false, .bias = Presence::kOptional})});
}

}  // namespace llmrun::models
