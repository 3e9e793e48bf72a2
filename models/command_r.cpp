// Command R and R+: both branches read one layer norm. The 104B model (64 layers) normalises
// queries and keys, each head with weights of its own.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_command_r(ModelMetadata& m) {
  const NormStyle style = layer_norm(m, Presence::kNever);
  ModelSpec spec = decoder(m, style, {.tie = Tie::kAlways});
  spec.head.logit_scale = one_if_zero(m.number("logit_scale", 0.0F));
  const int rope = add_rope(m, spec, {});
  const QkNorm qk_norm = m.n_layers() >= 64 ? QkNorm::kOwnLayer : QkNorm::kNone;
  for_each_layer(m, spec, [&](int64_t i, LayerSpec& layer) {
    parallel_norm(m, style, i, layer);
    layer.mixer = attention(m, i, {.rope = rope, .qk_norm = qk_norm});
    layer.ffn = dense_ffn(m, i);
  });
  return spec;
}

}  // namespace llmrun::models
