// Ling 1 (BailingMoE): experts in every layer, beside shared ones; heads of rope.dimension_count.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_bailingmoe(ModelMetadata& m) {
  MoeOptions experts = keyed_experts(m, RouterKind::kSoftmax);
  experts.shared_count = m.integer("expert_shared_count", 0, kExpertCounts);
  return plain_decoder(m, rms_norm(m),
                       {.whole = {.tie = Tie::kNever},
                        .attention = {.head_dim = m.rope_dims()},
                        .ffn = every_layer_moe(m, experts)});
}

}  // namespace llmrun::models
