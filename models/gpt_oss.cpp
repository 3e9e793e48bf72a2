// gpt-oss: attention sinks, alternating windows, experts with biases and a clamped activation.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_gpt_oss(ModelMetadata& m) {
  const NormStyle style = rms_norm(m);
  ModelSpec spec = decoder(m, style, {.tie = Tie::kNever});
  const double base = m.number("rope.freq_base", 10000.0F);
  const int rope = add_rope(m, spec, {.split_halves = true});
  const int window_rope =
      add_rope(m, spec, {.split_halves = true, .base = window_rope_base(m, base)});
  const WindowPattern pattern(m, required_window(m), 2);
  const int64_t width = m.required_integer("expert_feed_forward_length", kWidths);
  for_each_layer(m, spec, [&](int64_t i, LayerSpec& layer) {
    pre_norms(m, style, i, layer);
    layer.ffn_norm = norm(style, block(i, "post_attention_norm"), m.d_model());
    auto mixer = attention(m, i,
                           {.rope = pattern.windowed(i) ? window_rope : rope,
                            .out_bias = Presence::kRequired,
                            .window = pattern.window(i),
                            .head_dim = m.rope_dims()});
    mixer.sinks = tensor(block(i, "attn_sinks.weight"), {mixer.n_heads});
    layer.mixer = std::move(mixer);
    auto ffn = moe_ffn(m, i,
                       {.n_ff = width,
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
