// Qwen 3: Qwen 2 with normalised queries and keys.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_qwen3(ModelMetadata& m) {
  return plain_decoder(m, rms_norm(m),
                       {.rope = {.split_halves = true}, .attention = {.qk_norm = QkNorm::kHead}});
}

}  // namespace llmrun::models
