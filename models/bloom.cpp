// BLOOM: linear biases instead of rope, layer norms with biases everywhere, one of them right after
// the embedding.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_bloom(ModelMetadata& m) {
  const NormStyle style = layer_norm(m, Presence::kRequired);
  ModelSpec spec = plain_decoder(m, style,
                                 {.with_rope = false,
                                  .attention = {.bias = Presence::kRequired,
                                                .out_bias = Presence::kRequired,
                                                .alibi_max_bias = 8.0F},
                                  .ffn = every_layer_dense(m, plain_gelu())});
  spec.embedding.norm = norm(style, "token_embd_norm", m.d_model());
  return spec;
}

}  // namespace llmrun::models
