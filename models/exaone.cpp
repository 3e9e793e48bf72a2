// EXAONE 3 and 3.5: Llama with rope in halves.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_exaone(ModelMetadata& m) {
  return plain_decoder(m, rms_norm(m),
                       {.rope = {.split_halves = true, .factors = Factors::kRopeFreqs}});
}

}  // namespace llmrun::models
