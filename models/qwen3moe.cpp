// Qwen 3 with experts in every layer.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_qwen3moe(ModelMetadata& m) {
  return plain_decoder(m, rms_norm(m),
                       {.rope = {.split_halves = true},
                        .attention = {.qk_norm = QkNorm::kHead},
                        .ffn = every_layer_moe(m, {.own_width = true})});
}

}  // namespace llmrun::models
