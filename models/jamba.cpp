// Jamba: Mamba 1 layers, some layers of attention without positions, and experts in some layers.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_jamba(ModelMetadata& m) {
  const NormStyle style = rms_norm(m);
  ModelSpec spec = decoder(m, style);
  for_each_layer(m, spec, [&](int64_t i, LayerSpec& layer) {
    pre_norms(m, style, i, layer);
    if (is_recurrent(m, i)) {
      layer.mixer = mamba(m, i);
    } else {
      layer.mixer = attention(m, i, {});
    }
    if (m.has_tensor(block(i, "ffn_gate_inp.weight"))) {
      layer.ffn = moe_ffn(m, i, {.normalise = false});
    } else {
      layer.ffn = dense_ffn(m, i);
    }
  });
  return spec;
}

}  // namespace llmrun::models
