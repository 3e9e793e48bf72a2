// SmolLM 3: Llama without rope in every fourth layer.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_smollm3(ModelMetadata& m) {
  const NormStyle style = rms_norm(m);
  ModelSpec spec = decoder(m, style);
  const int rope = add_rope(m, spec, {});
  for_each_layer(m, spec, [&](int64_t i, LayerSpec& layer) {
    pre_norms(m, style, i, layer);
    layer.mixer = attention(m, i, {.rope = (i + 1) % 4 == 0 ? runtime::kNoRope : rope});
    layer.ffn = dense_ffn(m, i);
  });
  return spec;
}

}  // namespace llmrun::models
