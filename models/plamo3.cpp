// PLaMo 3: norms before and after both branches, normalised queries and keys, gate and up in one
// tensor; the windowed layers have a rope of their own that is never scaled.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_plamo3(ModelMetadata& m) {
  const NormStyle style = rms_norm(m);
  NormStyle post_style = style;
  post_style.suffix = "";
  ModelSpec spec = decoder(m, style);
  const WindowRopes ropes = window_ropes(m, spec, {.split_halves = true},
                                         {.split_halves = true,
                                          .base = window_rope_base(m, 10000.0),
                                          .scaled = false,
                                          .keep_magnitude = true});
  const WindowPattern pattern(m, window_size(m, 0), 8);
  for_each_layer(m, spec, [&](int64_t i, LayerSpec& layer) {
    pre_norms(m, style, i, layer);
    post_norms(m, post_style, i, layer);
    layer.mixer = attention(m, i,
                            {.rope = ropes.of(pattern, i),
                             .bias = Presence::kNever,
                             .qk_norm = QkNorm::kHead,
                             .window = pattern.window(i)});
    layer.ffn = dense_ffn(m, i, {.fused_up = true});
  });
  return spec;
}

}  // namespace llmrun::models
