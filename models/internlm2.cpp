// InternLM 2 and 2.5: Llama with an output matrix of its own.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_internlm2(ModelMetadata& m) {
  const NormStyle style = rms_norm(m);
  ModelSpec spec = decoder(m, style, {.tie = Tie::kNever});
  const int rope = add_rope(m, spec, {});
  for_each_layer(m, spec, [&](int64_t i, LayerSpec& layer) {
    pre_norms(m, style, i, layer);
    layer.mixer = attention(m, i, {.rope = rope});
    layer.ffn = dense_ffn(m, i);
  });
  return spec;
}

}  // namespace llmrun::models
