// PLaMo 1: both branches read one norm.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_plamo(ModelMetadata& m) {
  return plain_decoder(m, rms_norm(m),
                       {.whole = {.tie = Tie::kNever},
                        .norms = NormPlaces::kShared,
                        .rope = {.split_halves = true}});
}

}  // namespace llmrun::models
