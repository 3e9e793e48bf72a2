// GLM 4.5 and 4.6: experts chosen with a bias, beside shared ones; some sizes normalise queries and
// keys. Files of the vision variant give rope sections.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_glm4moe(ModelMetadata& m) {
  const NormStyle style = rms_norm(m);
  RopeOptions rope = sectioned_rope(m);
  rope.split_halves = true;
  MoeOptions experts = keyed_experts(m, router_kind(m, RouterKind::kSigmoid));
  experts.selection_bias = Presence::kOptional;
  experts.shared_count = m.required_integer("expert_shared_count", kExpertCounts);
  const bool normed = m.has_tensor("blk.0.attn_q_norm.weight");
  return plain_decoder(m, style,
                       {.rope = rope,
                        .attention = {.qk_norm = normed ? QkNorm::kHead : QkNorm::kNone},
                        .ffn = experts_after_dense(m, experts),
                        .adjust = [&](int64_t i, LayerSpec& layer) {
                          layer.ffn_norm =
                              norm(style, block(i, "post_attention_norm"), m.d_model());
                        }});
}

}  // namespace llmrun::models
