// Mamba and Falcon Mamba: a state space per layer, and nothing else.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_mamba(ModelMetadata& m) {
  const NormStyle style = rms_norm(m);
  ModelSpec spec = decoder(m, style);
  const MambaOptions options{.weightless_norms = m.boolean("ssm.dt_b_c_rms", false)};
  for_each_layer(m, spec, [&](int64_t i, LayerSpec& layer) {
    layer.mixer_norm = norm(style, block(i, "attn_norm"), m.d_model());
    layer.mixer = mamba(m, i, options);
  });
  return spec;
}

}  // namespace llmrun::models
