// Phi 1, 1.5 and 2: both branches read one layer norm; biases everywhere, at the output too.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_phi2(ModelMetadata& m) {
  return plain_decoder(m, layer_norm(m, Presence::kRequired),
                       {.whole = {.tie = Tie::kNever, .output_bias = Presence::kRequired},
                        .norms = NormPlaces::kShared,
                        .rope = {.split_halves = true},
                        .attention = {.out_bias = Presence::kRequired},
                        .ffn = every_layer_dense(m, plain_gelu())});
}

}  // namespace llmrun::models
