// Maple: rope in the windowed layers only, normalised queries and keys, experts with clamped gates.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_maple(ModelMetadata& m) {
  const NormStyle style = rms_norm(m);
  ModelSpec spec = decoder(m, style, {.tie = Tie::kNever});
  const int rope = add_rope(
      m, spec, {.split_halves = true, .n_dims = window_rope_dims(m), .base = window_rope_base(m)});
  const WindowPattern pattern = required_pattern(m);
  const std::vector<float> limits = m.required_numbers("swiglu_clamp_exp");
  for_each_layer(m, spec, [&](int64_t i, LayerSpec& layer) {
    pre_norms(m, style, i, layer);
    layer.mixer = attention(m, i,
                            {.rope = pattern.windowed(i) ? rope : runtime::kNoRope,
                             .qk_norm = QkNorm::kHead,
                             .window = pattern.window(i)});
    auto ffn = moe_ffn(m, i, {.own_width = true});
    ffn.limit = limits[static_cast<size_t>(i)];
    layer.ffn = std::move(ffn);
  });
  return spec;
}

}  // namespace llmrun::models
