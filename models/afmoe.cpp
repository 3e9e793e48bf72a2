// Trinity (AFMoE): norms before and after both branches, a gate on the heads' output, rope in three
// of four layers whatever the windows are, experts chosen with a bias.
#include <cmath>

#include "models/common.h"

namespace llmrun::models {

ModelSpec build_afmoe(ModelMetadata& m) {
  const NormStyle style = rms_norm(m);
  ModelSpec spec = decoder(m, style);
  spec.embedding.scale = std::sqrt(static_cast<float>(m.d_model()));
  const WindowRopes ropes = window_ropes(m, spec, {.split_halves = true});
  const WindowPattern pattern(m, required_window(m), 4);
  MoeOptions experts = keyed_experts(m, router_kind(m, RouterKind::kSigmoid));
  experts.selection_bias = Presence::kRequired;
  experts.shared_count = m.integer("expert_shared_count", 0, kExpertCounts);
  const FfnOf ffn = experts_after_dense(m, experts);
  for_each_layer(m, spec, [&](int64_t i, LayerSpec& layer) {
    pre_norms(m, style, i, layer);
    post_norms(m, style, i, layer);
    layer.mixer = attention(m, i,
                            {.rope = (i + 1) % 4 == 0 ? runtime::kNoRope : ropes.of(pattern, i),
                             .qk_norm = QkNorm::kHead,
                             .window = pattern.window(i),
                             .gate = Activation::kSigmoid});
    layer.ffn = ffn(i);
  });
  return spec;
}

}  // namespace llmrun::models
