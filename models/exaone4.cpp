// EXAONE 4: norms after the branches only. The 32B model (64 layers) has windows in three of four
// layers, and rope in those alone; the smaller ones have rope everywhere and no window.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_exaone4(ModelMetadata& m) {
  const NormStyle style = rms_norm(m);
  ModelSpec spec = decoder(m, style);
  const int rope = add_rope(m, spec, {.split_halves = true, .factors = Factors::kRopeFreqs});
  const bool windows = m.n_layers() == 64;
  const WindowPattern pattern(m, window_size(m, 4096), 4);
  for_each_layer(m, spec, [&](int64_t i, LayerSpec& layer) {
    post_norms(m, style, i, layer);
    layer.mixer = attention(m, i,
                            {.rope = windows && !pattern.windowed(i) ? runtime::kNoRope : rope,
                             .qk_norm = QkNorm::kHead,
                             .window = windows ? pattern.window(i) : 0});
    layer.ffn = dense_ffn(m, i);
  });
  return spec;
}

}  // namespace llmrun::models
