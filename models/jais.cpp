// Jais: linear biases instead of rope, scores divided by the head size itself, biases everywhere.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_jais(ModelMetadata& m) {
  return plain_decoder(m, layer_norm(m, Presence::kRequired),
                       {.whole = {.tie = Tie::kNever},
                        .with_rope = false,
                        .attention = {.bias = Presence::kRequired,
                                      .out_bias = Presence::kRequired,
                                      .scale = 1.0F / static_cast<float>(m.k_dim()),
                                      .alibi_max_bias = m.number("attention.max_alibi_bias", 0.0F)},
                        .ffn = every_layer_dense(m, {.bias = Presence::kRequired})});
}

}  // namespace llmrun::models
