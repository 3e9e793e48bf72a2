// ModernBERT: norms without biases before the branches (the first attention reads the embedding's
// norm), GEGLU, and a window to both sides, with a rope of its own, in all layers but every third.
#include "models/common/encoder.h"

namespace llmrun::models {

ModelSpec build_modern_bert(ModelMetadata& m) {
  const NormStyle style = layer_norm(m, Presence::kNever);
  ModelSpec spec = encoder(m, style);
  spec.head.norm = norm(style, "output_norm", m.d_model());
  spec.embedding_head.classifier.activation = Activation::kGeluErf;
  const double base = static_cast<double>(m.number("rope.freq_base", 160000.0F));
  const int rope = add_rope(m, spec, {.split_halves = true, .base = base});
  const int window_rope =
      add_rope(m, spec, {.split_halves = true, .base = window_rope_base(m, 10000.0)});
  const WindowPattern pattern(m, window_size(m, 128), 3, WindowPattern::Full::kFirst);
  for_each_layer(m, spec, [&](int64_t i, LayerSpec& layer) {
    pre_norms(m, style, i, layer);
    if (!m.has_tensor(block(i, "attn_norm.weight"))) layer.mixer_norm.reset();
    layer.mixer = attention(m, i,
                            {.rope = pattern.windowed(i) ? window_rope : rope,
                             .bias = Presence::kNever,
                             .window = pattern.window(i)});
    layer.ffn = dense_ffn(m, i, {.activation = Activation::kGeluErf, .fused_up = true});
  });
  return spec;
}

}  // namespace llmrun::models
