// Gemma 3: as Gemma 2 with normalised queries and keys instead of soft-capped scores, and a rope
// of its own (base 10000, never scaled) in the windowed layers.
#include <cmath>

#include "models/common.h"

namespace llmrun::models {

ModelSpec build_gemma3(ModelMetadata& m) {
  const NormStyle style = rms_norm(m);
  ModelSpec spec = decoder(m, style);
  spec.embedding.scale = std::sqrt(static_cast<float>(m.d_model()));
  spec.head.soft_cap = m.number("final_logit_softcapping", 0.0F);
  const WindowRopes ropes =
      window_ropes(m, spec, {.split_halves = true},
                   {.split_halves = true, .base = window_rope_base(m, 10000.0), .scaled = false});
  const WindowPattern pattern(m, window_size(m, 0), 6);
  for_each_layer(m, spec, [&](int64_t i, LayerSpec& layer) {
    pre_norms(m, style, i, layer);
    post_norms(m, style, i, layer);
    layer.mixer = attention(m, i,
                            {.rope = ropes.of(pattern, i),
                             .qk_norm = QkNorm::kHead,
                             // the 27B model has 62 layers
                             .scale = m.n_layers() == 62 ? scale_by_width(m, i) : 0.0F,
                             .window = pattern.window(i)});
    layer.ffn = dense_ffn(m, i, {.activation = Activation::kGelu});
  });
  return spec;
}

}  // namespace llmrun::models
