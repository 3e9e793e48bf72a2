// GLM 4 (dense): norms before and after both branches, gate and up in one tensor. Files of the
// vision variant give rope sections, whose pairs are halves apart.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_glm4(ModelMetadata& m) {
  const NormStyle style = rms_norm(m);
  ModelSpec spec = decoder(m, style);
  const int rope = add_rope(m, spec, sectioned_rope(m));
  for_each_layer(m, spec, [&](int64_t i, LayerSpec& layer) {
    pre_norms(m, style, i, layer);
    post_norms(m, style, i, layer);
    layer.mixer = attention(m, i, {.rope = rope});
    layer.ffn = dense_ffn(m, i, {.fused_up = true});
  });
  return spec;
}

}  // namespace llmrun::models
