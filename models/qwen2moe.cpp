// Qwen 1.5 MoE and Qwen2 MoE: router weights as they come, and a shared expert behind a sigmoid.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_qwen2moe(ModelMetadata& m) {
  const NormStyle style = rms_norm(m);
  ModelSpec spec = decoder(m, style, {.tie = Tie::kNever});
  const int rope = add_rope(m, spec, {.split_halves = true});
  MoeOptions experts = qwen_experts(m);
  experts.normalise = false;
  for_each_layer(m, spec, [&](int64_t i, LayerSpec& layer) {
    pre_norms(m, style, i, layer);
    layer.mixer = attention(m, i, {.rope = rope});
    layer.ffn = moe_ffn(m, i, experts);
  });
  return spec;
}

}  // namespace llmrun::models
