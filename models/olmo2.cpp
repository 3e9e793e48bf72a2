// OLMo 2 and 3: norms after the branches only, queries and keys normalised as whole rows. The
// windowed layers of OLMo 3 have an unscaled rope.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_olmo2(ModelMetadata& m) {
  const NormStyle style = rms_norm(m);
  ModelSpec spec = decoder(m, style, {.tie = Tie::kNever});
  const int rope = add_rope(m, spec, {.split_halves = true});
  const int window_rope = add_rope(m, spec, {.split_halves = true, .scaled = false});
  const WindowPattern pattern(m, window_size(m, 0), 4);
  for_each_layer(m, spec, [&](int64_t i, LayerSpec& layer) {
    post_norms(m, style, i, layer);
    layer.mixer = attention(m, i,
                            {.rope = pattern.windowed(i) ? window_rope : rope,
                             .qk_norm = QkNorm::kRow,
                             .window = pattern.window(i)});
    layer.ffn = dense_ffn(m, i);
  });
  return spec;
}

}  // namespace llmrun::models
