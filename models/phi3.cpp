// Phi 3, 3.5 and 4: gate and up in one tensor; long and short rope factors. Files of the 128k
// models carry the magnitude. The sliding window of the metadata is not used.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_phi3(ModelMetadata& m) {
  const NormStyle style = rms_norm(m);
  ModelSpec spec = decoder(m, style);
  const int rope = add_rope(m, spec, {.split_halves = true, .factors = Factors::kLongShort});
  for_each_layer(m, spec, [&](int64_t i, LayerSpec& layer) {
    pre_norms(m, style, i, layer);
    layer.mixer = attention(m, i, {.rope = rope});
    layer.ffn = dense_ffn(m, i, {.fused_up = true});
  });
  return spec;
}

}  // namespace llmrun::models
