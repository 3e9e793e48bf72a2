// CodeShell: layer norms and biases everywhere; some files have the output matrix only, which then
// is the embedding too.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_codeshell(ModelMetadata& m) {
  ModelSpec spec = plain_decoder(m, layer_norm(m, Presence::kRequired),
                                 {.whole = {.tie = Tie::kNever},
                                  .rope = {.split_halves = true},
                                  .attention = {.out_bias = Presence::kRequired},
                                  .ffn = every_layer_dense(m, plain_gelu())});
  if (!m.has_tensor(spec.embedding.table.name)) spec.embedding.table.name = "output.weight";
  return spec;
}

}  // namespace llmrun::models
