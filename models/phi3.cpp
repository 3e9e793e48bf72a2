// Phi 3, 3.5 and 4: gate and up in one tensor; long and short rope factors. Files of the 128k
// models carry the magnitude. The sliding window of the metadata is not used.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_phi3(ModelMetadata& m) {
  return plain_decoder(m, rms_norm(m),
                       {.rope = {.split_halves = true, .factors = Factors::kLongShort},
                        .ffn = every_layer_dense(m, {.fused_up = true})});
}

}  // namespace llmrun::models
