// Spark 2.5: a gate for each head, GeGLU; the windowed layers have a rope of their own.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_spark2_5(ModelMetadata& m) {
  const NormStyle style = rms_norm(m);
  ModelSpec spec = decoder(m, style);
  const WindowRopes ropes = window_ropes(m, spec, {.split_halves = true},
                                         {.split_halves = true, .n_dims = window_rope_dims(m)});
  const WindowPattern pattern = required_pattern(m);
  for_each_layer(m, spec, [&](int64_t i, LayerSpec& layer) {
    pre_norms(m, style, i, layer);
    layer.mixer = attention(
        m, i,
        {.rope = ropes.of(pattern, i), .window = pattern.window(i), .gate = Activation::kSigmoid});
    layer.ffn = dense_ffn(m, i, {.activation = Activation::kGelu});
  });
  return spec;
}

}  // namespace llmrun::models
