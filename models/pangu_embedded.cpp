// Pangu Embedded: Llama with rope in halves and a bias after attention. It ignores rope factors,
// which its files may hold.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_pangu_embedded(ModelMetadata& m) {
  return plain_decoder(
      m, rms_norm(m),
      {.rope = {.split_halves = true}, .attention = {.out_bias = Presence::kRequired}});
}

}  // namespace llmrun::models
