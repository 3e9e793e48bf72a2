// Mamba 2 (Codestral Mamba): a state space per layer, and nothing else.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_mamba2(ModelMetadata& m) {
  const NormStyle style = rms_norm(m);
  ModelSpec spec = decoder(m, style);
  for_each_layer(m, spec, [&](int64_t i, LayerSpec& layer) {
    layer.mixer_norm = norm(style, block(i, "attn_norm"), m.d_model());
    layer.mixer = mamba2(m, i, style);
  });
  return spec;
}

}  // namespace llmrun::models
