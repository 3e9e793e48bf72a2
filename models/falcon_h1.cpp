// Falcon H1: attention and Mamba 2 side by side in every layer.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_falcon_h1(ModelMetadata& m) {
  const NormStyle style = rms_norm(m);
  ModelSpec spec = decoder(m, style);
  const int rope = add_rope(m, spec, {.split_halves = true});
  for_each_layer(m, spec, [&](int64_t i, LayerSpec& layer) {
    pre_norms(m, style, i, layer);
    layer.ffn_norm->weight.name = block(i, "ffn_norm");  // without ".weight"
    layer.mixer = attention(m, i, {.rope = rope});
    layer.second_mixer = mamba2(m, i, style);
    layer.ffn = dense_ffn(m, i, {.bias = Presence::kOptional});
  });
  return spec;
}

}  // namespace llmrun::models
