// Command R7B: both branches read one layer norm; rope only in the windowed layers.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_cohere2(ModelMetadata& m) {
  const NormStyle style = layer_norm(m, Presence::kNever);
  ModelSpec spec = decoder(m, style, {.tie = Tie::kAlways});
  spec.head.logit_scale = one_if_zero(m.required_number("logit_scale"));
  const int rope = add_rope(m, spec, {});
  const WindowPattern pattern(m, required_window(m), 4);
  for_each_layer(m, spec, [&](int64_t i, LayerSpec& layer) {
    parallel_norm(m, style, i, layer);
    layer.mixer = attention(
        m, i, {.rope = pattern.windowed(i) ? rope : runtime::kNoRope, .window = pattern.window(i)});
    layer.ffn = dense_ffn(m, i);
  });
  return spec;
}

}  // namespace llmrun::models
