// DeepSeek MoE (V1): experts whose weights are not normalised, beside shared ones.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_deepseek(ModelMetadata& m) {
  MoeOptions experts = keyed_experts(m, RouterKind::kSoftmax);
  experts.normalise = false;
  experts.shared_count = m.integer("expert_shared_count", 0, kExpertCounts);
  return plain_decoder(m, rms_norm(m), {.ffn = experts_after_dense(m, experts)});
}

}  // namespace llmrun::models
