// Ling 2 (BailingMoE 2): normalised queries and keys, dense layers first.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_bailingmoe2(ModelMetadata& m) {
  MoeOptions experts = keyed_experts(m, required_router(m));
  experts.selection_bias = Presence::kOptional;
  const int64_t n_shared = m.integer("expert_shared_count", 0, kExpertCounts);
  experts.shared_ff = n_shared * m.integer("expert_shared_feed_forward_length", 0, kWidths);
  if (experts.shared_ff == 0) experts.shared_count = n_shared;
  return plain_decoder(m, rms_norm(m),
                       {.whole = {.tie = Tie::kNever},
                        .rope = {.split_halves = true},
                        .attention = {.bias = Presence::kNever, .qk_norm = QkNorm::kHead},
                        .ffn = experts_after_dense(m, experts)});
}

}  // namespace llmrun::models
