// Hunyuan 3: queries and keys are normalised before the rotation; the layers that have a router
// have experts.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_hy_v3(ModelMetadata& m) {
  MoeOptions experts = keyed_experts(m, router_kind(m, RouterKind::kSigmoid));
  experts.selection_bias = Presence::kOptional;
  experts.shared_ff = m.integer("expert_shared_feed_forward_length", 0, kWidths);
  experts.shared_count = 1;
  return plain_decoder(m, rms_norm(m),
                       {.rope = {.split_halves = true},
                        .attention = {.qk_norm = QkNorm::kHead},
                        .ffn = experts_where_routed(m, experts)});
}

}  // namespace llmrun::models
