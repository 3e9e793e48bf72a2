// Qwen 1.5, 2 and 2.5.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_qwen2(ModelMetadata& m) {
  return plain_decoder(
      m, rms_norm(m),
      {.whole = {.output_bias = Presence::kOptional}, .rope = {.split_halves = true}});
}

}  // namespace llmrun::models
