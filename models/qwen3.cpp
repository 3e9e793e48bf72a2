// Qwen 3: Qwen 2 with normalised queries and keys. Qwen 3 VL, text only, adds rope sections.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_qwen3(ModelMetadata& m) {
  return plain_decoder(m, rms_norm(m),
                       {.rope = halves_with_sections(m, runtime::RopeSections::kInterleaved),
                        .attention = {.qk_norm = QkNorm::kHead}});
}

}  // namespace llmrun::models
