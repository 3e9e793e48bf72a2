// EXAONE 3 and 3.5: Llama with rope in halves.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_exaone(ModelMetadata& m) {
  const NormStyle style = rms_norm(m);
  ModelSpec spec = decoder(m, style);
  const int rope = add_rope(m, spec, {.split_halves = true, .factors = Factors::kRopeFreqs});
  for_each_layer(m, spec, [&](int64_t i, LayerSpec& layer) {
    pre_norms(m, style, i, layer);
    layer.mixer = attention(m, i, {.rope = rope});
    layer.ffn = dense_ffn(m, i);
  });
  return spec;
}

}  // namespace llmrun::models
