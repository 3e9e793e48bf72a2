// StarCoder 2: layer norms and biases everywhere, a feed-forward without gate.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_starcoder2(ModelMetadata& m) {
  return plain_decoder(m, layer_norm(m, Presence::kRequired),
                       {.rope = {.split_halves = true},
                        .attention = {.out_bias = Presence::kRequired},
                        .ffn = every_layer_dense(m, plain_gelu())});
}

}  // namespace llmrun::models
