// StableLM 2: layer norms. The 12B model has no ffn_norm: its branches are parallel; it also
// normalises queries and keys, each head with weights of its own.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_stablelm(ModelMetadata& m) {
  const NormStyle style = layer_norm(m, Presence::kRequired);
  const NormStyle head_style = layer_norm(m, Presence::kNever);
  ModelSpec spec = decoder(m, style, {.tie = Tie::kNever});
  const int rope = add_rope(m, spec, {.split_halves = true});
  for_each_layer(m, spec, [&](int64_t i, LayerSpec& layer) {
    if (m.has_tensor(block(i, "ffn_norm.weight"))) {
      pre_norms(m, style, i, layer);
    } else {
      parallel_norm(m, style, i, layer);
    }
    auto mixer = attention(m, i, {.rope = rope});
    if (m.has_tensor(block(i, "attn_q_norm.weight"))) {
      mixer.q_norm =
          head_norm(head_style, block(i, "attn_q_norm"), mixer.n_heads, mixer.k_dim, true);
    }
    if (m.has_tensor(block(i, "attn_k_norm.weight"))) {
      mixer.k_norm =
          head_norm(head_style, block(i, "attn_k_norm"), mixer.n_kv_heads, mixer.k_dim, true);
    }
    layer.mixer = std::move(mixer);
    layer.ffn = dense_ffn(m, i);
  });
  return spec;
}

}  // namespace llmrun::models
