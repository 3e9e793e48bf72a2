// Hunyuan with experts (A13B): a shared expert in every layer.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_hunyuan_moe(ModelMetadata& m) {
  const MoeOptions experts{.shared_ff = m.integer("expert_shared_feed_forward_length", 0, kWidths),
                           .shared_count = 1};
  return plain_decoder(m, rms_norm(m),
                       {.rope = {.split_halves = true},
                        .attention = {.qk_norm = QkNorm::kHeadAfterRope},
                        .ffn = every_layer_moe(m, experts)});
}

}  // namespace llmrun::models
