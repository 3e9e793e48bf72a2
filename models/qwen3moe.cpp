// Qwen 3 with experts in every layer.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_qwen3moe(ModelMetadata& m) {
  const NormStyle style = rms_norm(m);
  ModelSpec spec = decoder(m, style);
  const int rope = add_rope(m, spec, {.split_halves = true});
  for_each_layer(m, spec, [&](int64_t i, LayerSpec& layer) {
    pre_norms(m, style, i, layer);
    layer.mixer = attention(m, i, {.rope = rope, .qk_norm = QkNorm::kHead});
    layer.ffn = moe_ffn(m, i, {.n_ff = expert_width(m, i)});
  });
  return spec;
}

}  // namespace llmrun::models
