// MiMo V2: sinks, windowed layers with a rope of their own that is never scaled, experts wherever
// the file has a router. Values may be of another size than keys. Its files hold biases of queries,
// keys and values that are not used.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_mimo2(ModelMetadata& m) {
  const WindowPattern pattern = required_pattern(m);
  // The kind of the first layer decides for all.
  const int64_t dims = pattern.windowed(0) ? window_rope_dims(m) : m.rope_dims();
  const float out_scale = one_if_zero(m.number("attention.value_scale", 0.0F));
  return plain_decoder(m, rms_norm(m),
                       {.whole = {.tie = Tie::kNever},
                        .rope = {.split_halves = true, .n_dims = dims},
                        .windows = pattern,
                        .window_rope = own_window_rope(m, dims),
                        .attention = {.bias = Presence::kNever, .sinks = Presence::kOptional},
                        .ffn = experts_where_routed(m, {.own_width = true,
                                                        .router = RouterKind::kSigmoid,
                                                        .selection_bias = Presence::kOptional}),
                        .adjust = [&](int64_t, LayerSpec& layer) {
                          std::get<runtime::Attention>(layer.mixer).out_scale = out_scale;
                        }});
}

}  // namespace llmrun::models
