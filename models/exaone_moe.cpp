// EXAONE MoE: rope in the windowed layers only, normalised queries and keys, experts after the
// dense layers.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_exaone_moe(ModelMetadata& m) {
  const NormStyle style = rms_norm(m);
  ModelSpec spec = decoder(m, style, {.tie = Tie::kNever});
  const int rope = add_rope(m, spec, {.split_halves = true, .factors = Factors::kRopeFreqs});
  const WindowPattern pattern(m, required_window(m), 4);
  MoeOptions experts = keyed_experts(m, required_router(m));
  experts.selection_bias = Presence::kOptional;
  experts.shared_ff = m.integer("expert_shared_feed_forward_length", 0, kWidths);
  if (experts.shared_ff == 0) experts.shared_count = 1;
  const FfnOf ffn = experts_after_dense(m, experts);
  for_each_layer(m, spec, [&](int64_t i, LayerSpec& layer) {
    pre_norms(m, style, i, layer);
    layer.mixer = attention(m, i,
                            {.rope = pattern.windowed(i) ? rope : runtime::kNoRope,
                             .qk_norm = QkNorm::kHead,
                             .window = pattern.window(i)});
    layer.ffn = ffn(i);
  });
  return spec;
}

}  // namespace llmrun::models
