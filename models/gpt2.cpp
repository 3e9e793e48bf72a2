// GPT-2, and StarCoder 1, which has fewer heads of keys: learned positions, layer norms and biases
// everywhere, a feed-forward without gate.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_gpt2(ModelMetadata& m) {
  ModelSpec spec =
      plain_decoder(m, layer_norm(m, Presence::kRequired),
                    {.with_rope = false,
                     .attention = {.bias = Presence::kRequired, .out_bias = Presence::kRequired},
                     .ffn = every_layer_dense(m, plain_gelu())});
  learned_positions(m, spec);
  return spec;
}

}  // namespace llmrun::models
