// Qwen 3, and Qwen 3 VL, with experts in every layer.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_qwen3moe(ModelMetadata& m) {
  return plain_decoder(m, rms_norm(m),
                       {.rope = halves_with_sections(m, runtime::RopeSections::kInterleaved),
                        .attention = {.qk_norm = QkNorm::kHead},
                        .ffn = every_layer_moe(m, {.own_width = true})});
}

}  // namespace llmrun::models
