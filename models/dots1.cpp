// dots.llm1: normalised queries and keys, experts with a bias in the choice, dense layers first.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_dots1(ModelMetadata& m) {
  MoeOptions experts = keyed_experts(m, required_router(m));
  experts.selection_bias = Presence::kOptional;
  experts.shared_count = m.integer("expert_shared_count", 0, kExpertCounts);
  return plain_decoder(m, rms_norm(m),
                       {.whole = {.tie = Tie::kNever},
                        .rope = {.split_halves = true},
                        .attention = {.qk_norm = QkNorm::kHead},
                        .ffn = experts_after_dense(m, experts)});
}

}  // namespace llmrun::models
