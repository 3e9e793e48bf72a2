// Laguna: three of four layers have a window, with a rope of its own that is never scaled and may
// turn other dims; a gate on the heads' output; the number of heads may differ between layers.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_laguna(ModelMetadata& m) {
  const NormStyle style = rms_norm(m);
  ModelSpec spec = decoder(m, style);
  const WindowRopes ropes = window_ropes(
      m, spec, {.split_halves = true},
      {.split_halves = true,
       .n_dims = m.integer("rope.dimension_count_swa", m.rope_dims(), {0, runtime::kMaxHeadDim}),
       .scaled = false});
  const WindowPattern pattern(m, window_size(m, 0), 4, WindowPattern::Full::kFirst);
  MoeOptions experts = keyed_experts(m, router_kind(m, RouterKind::kSigmoid));
  experts.selection_bias = Presence::kRequired;
  experts.shared_ff = m.integer("expert_shared_feed_forward_length", 0, kWidths);
  experts.shared_count = m.integer("expert_shared_count", 1, kExpertCounts);
  const FfnOf ffn = experts_after_dense(m, experts);
  for_each_layer(m, spec, [&](int64_t i, LayerSpec& layer) {
    pre_norms(m, style, i, layer);
    layer.mixer = attention(m, i,
                            {.rope = ropes.of(pattern, i),
                             .qk_norm = QkNorm::kHead,
                             .window = pattern.window(i),
                             .gate = Activation::kSoftplus});
    layer.ffn = ffn(i);
  });
  return spec;
}

}  // namespace llmrun::models
