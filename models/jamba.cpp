// Jamba: Mamba 1 layers, some layers of attention without positions, and experts in some layers.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_jamba(ModelMetadata& m) {
  const NormStyle style = rms_norm(m);
  ModelSpec spec = decoder(m, style);
  const FfnOf ffn = experts_where_routed(m, {.normalise = false});
  for_each_layer(m, spec, [&](int64_t i, LayerSpec& layer) {
    pre_norms(m, style, i, layer);
    if (is_recurrent(m, i)) {
      layer.mixer = mamba(m, i);
    } else {
      layer.mixer = attention(m, i, {});
    }
    layer.ffn = ffn(i);
  });
  return spec;
}

}  // namespace llmrun::models
