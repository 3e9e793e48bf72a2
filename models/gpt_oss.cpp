// gpt-oss: attention sinks, alternating windows, experts with biases and a clamped activation.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_gpt_oss(ModelMetadata& m) {
  const NormStyle style = rms_norm(m);
  ModelSpec spec = decoder(m, style, {.tie = Tie::kNever});
  const WindowRopes ropes = window_ropes(m, spec, {.split_halves = true});
  const WindowPattern pattern(m, required_window(m), 2);
  for_each_layer(m, spec, [&](int64_t i, LayerSpec& layer) {
    pre_norms(m, style, i, layer);
    layer.ffn_norm = norm(style, block(i, "post_attention_norm"), m.d_model());
    layer.mixer = attention(m, i,
                            {.rope = ropes.of(pattern, i),
                             .out_bias = Presence::kRequired,
                             .window = pattern.window(i),
                             .head_dim = m.rope_dims(),
                             .sinks = Presence::kRequired});
    auto ffn = moe_ffn(m, i,
                       {.own_width = true,
                        .router = RouterKind::kSoftmaxAfterTopK,
                        .normalise = false,
                        .biases = Presence::kRequired});
    ffn.swiglu_oai = true;
    ffn.limit = 7.0F;
    layer.ffn = std::move(ffn);
  });
  return spec;
}

}  // namespace llmrun::models
