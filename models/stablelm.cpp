// StableLM 2: layer norms. The 12B model has no ffn_norm: its branches are parallel; it also
// normalises queries and keys, each head with weights of its own.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_stablelm(ModelMetadata& m) {
  const NormStyle style = layer_norm(m, Presence::kRequired);
  ModelSpec spec = decoder(m, style, {.tie = Tie::kNever});
  const int rope = add_rope(m, spec, {.split_halves = true});
  for_each_layer(m, spec, [&](int64_t i, LayerSpec& layer) {
    if (m.has_tensor(block(i, "ffn_norm.weight"))) {
      pre_norms(m, style, i, layer);
    } else {
      parallel_norm(m, style, i, layer);
    }
    const bool normed = m.has_tensor(block(i, "attn_q_norm.weight"));
    layer.mixer =
        attention(m, i, {.rope = rope, .qk_norm = normed ? QkNorm::kOwnLayer : QkNorm::kNone});
    layer.ffn = dense_ffn(m, i);
  });
  return spec;
}

}  // namespace llmrun::models
