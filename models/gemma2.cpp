// Gemma 2: norms before and after both branches, soft-capped scores and logits, every other layer
// with a sliding window.
#include <cmath>

#include "models/common.h"

namespace llmrun::models {

ModelSpec build_gemma2(ModelMetadata& m) {
  const NormStyle style = rms_norm(m);
  ModelSpec spec = decoder(m, style, {.tie = Tie::kAlways});
  spec.embedding.scale = std::sqrt(static_cast<float>(m.d_model()));
  spec.head.soft_cap = m.number("final_logit_softcapping", 30.0F);
  const WindowRopes ropes = window_ropes(m, spec, {.split_halves = true});
  const WindowPattern pattern(m, window_size(m, 4096), 2);
  const float soft_cap = m.number("attn_logit_softcapping", 50.0F);
  for_each_layer(m, spec, [&](int64_t i, LayerSpec& layer) {
    pre_norms(m, style, i, layer);
    post_norms(m, style, i, layer);
    layer.mixer = attention(m, i,
                            {.rope = ropes.of(pattern, i),
                             // the 27B model has 46 layers
                             .scale = m.n_layers() == 46 ? scale_by_width(m, i) : 0.0F,
                             .soft_cap = soft_cap,
                             .window = pattern.window(i)});
    layer.ffn = dense_ffn(m, i, {.activation = Activation::kGelu});
  });
  return spec;
}

}  // namespace llmrun::models
