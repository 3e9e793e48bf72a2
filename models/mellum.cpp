// Mellum with experts: the windowed layers have an unscaled rope.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_mellum(ModelMetadata& m) {
  const NormStyle style = rms_norm(m);
  ModelSpec spec = decoder(m, style, {.tie = Tie::kNever});
  const int rope = add_rope(m, spec, {.split_halves = true});
  const int window_rope = add_rope(m, spec, {.split_halves = true, .scaled = false});
  const WindowPattern pattern(m, window_size(m, 0), 4);
  for_each_layer(m, spec, [&](int64_t i, LayerSpec& layer) {
    pre_norms(m, style, i, layer);
    layer.mixer = attention(m, i,
                            {.rope = pattern.windowed(i) ? window_rope : rope,
                             .qk_norm = QkNorm::kHead,
                             .window = pattern.window(i)});
    layer.ffn = moe_ffn(m, i, {.own_width = true});
  });
  return spec;
}

}  // namespace llmrun::models
