// Qwen 1.5 MoE and Qwen2 MoE: router weights as they come, and a shared expert behind a sigmoid.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_qwen2moe(ModelMetadata& m) {
  const NormStyle style = rms_norm(m);
  ModelSpec spec = decoder(m, style, {.tie = Tie::kNever});
  const int rope = add_rope(m, spec, {.split_halves = true});
  const int64_t shared = m.integer("expert_shared_feed_forward_length", 0, kWidths);
  for_each_layer(m, spec, [&](int64_t i, LayerSpec& layer) {
    pre_norms(m, style, i, layer);
    layer.mixer = attention(m, i, {.rope = rope});
    layer.ffn = moe_ffn(m, i,
                        {.n_ff = expert_width(m, i),
                         .normalise = false,
                         .shared_ff = shared > 0 ? shared : m.n_ff(i),
                         .shared_gate = true});
  });
  return spec;
}

}  // namespace llmrun::models
