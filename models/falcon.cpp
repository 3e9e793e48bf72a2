// Falcon: parallel branches, which share one norm (7B) or have one each (40B).
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_falcon(ModelMetadata& m) {
  const NormStyle style = layer_norm(m, Presence::kRequired);
  ModelSpec spec = decoder(m, style);
  const int rope = add_rope(m, spec, {.split_halves = true});
  for_each_layer(m, spec, [&](int64_t i, LayerSpec& layer) {
    parallel_norm(m, style, i, layer);
    if (m.has_tensor(block(i, "attn_norm_2.weight"))) {
      layer.ffn_norm = std::move(layer.mixer_norm);
      layer.mixer_norm = norm(style, block(i, "attn_norm_2"), m.d_model());
    }
    layer.mixer = attention(m, i, {.rope = rope, .bias = Presence::kNever});
    layer.ffn = dense_ffn(m, i, {.activation = Activation::kGelu, .gated = false});
  });
  return spec;
}

}  // namespace llmrun::models
