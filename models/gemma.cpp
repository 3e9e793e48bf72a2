// Gemma 1: GeGLU, scaled embeddings. The "+1" of its norms is in the file's weights.
#include <cmath>

#include "models/common.h"

namespace llmrun::models {

ModelSpec build_gemma(ModelMetadata& m) {
  const NormStyle style = rms_norm(m);
  ModelSpec spec = decoder(m, style, {.tie = Tie::kAlways});
  spec.embedding.scale = std::sqrt(static_cast<float>(m.d_model()));
  const int rope = add_rope(m, spec, {.split_halves = true});
  for_each_layer(m, spec, [&](int64_t i, LayerSpec& layer) {
    pre_norms(m, style, i, layer);
    layer.mixer = attention(m, i, {.rope = rope});
    layer.ffn = dense_ffn(m, i, {.activation = Activation::kGelu});
  });
  return spec;
}

}  // namespace llmrun::models
