// MiMo V2: sinks, windowed layers with a rope of their own that is never scaled, experts wherever
// the file has a router. Values may be of another size than keys. Its files hold biases of queries,
// keys and values that are not used.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_mimo2(ModelMetadata& m) {
  const NormStyle style = rms_norm(m);
  ModelSpec spec = decoder(m, style, {.tie = Tie::kNever});
  const WindowPattern pattern = required_pattern(m);
  // The kind of the first layer decides for all.
  const int64_t dims = pattern.windowed(0) ? window_rope_dims(m) : m.rope_dims();
  const WindowRopes ropes = window_ropes(m, spec, {.split_halves = true, .n_dims = dims},
                                         {.split_halves = true,
                                          .n_dims = dims,
                                          .base = window_rope_base(m, 10000.0),
                                          .scaled = false,
                                          .keep_magnitude = true});
  const float out_scale = one_if_zero(m.number("attention.value_scale", 0.0F));
  const FfnOf ffn = experts_where_routed(
      m,
      {.own_width = true, .router = RouterKind::kSigmoid, .selection_bias = Presence::kOptional});
  for_each_layer(m, spec, [&](int64_t i, LayerSpec& layer) {
    pre_norms(m, style, i, layer);
    auto mixer = attention(m, i,
                           {.rope = ropes.of(pattern, i),
                            .bias = Presence::kNever,
                            .window = pattern.window(i),
                            .sinks = Presence::kOptional});
    mixer.out_scale = out_scale;
    layer.mixer = std::move(mixer);
    layer.ffn = ffn(i);
  });
  return spec;
}

}  // namespace llmrun::models
