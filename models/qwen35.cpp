// Qwen3-Next and Qwen 3.5 (dense and with experts): gated delta nets, and attention with output
// gates in every fourth layer.
#include "models/common.h"

namespace llmrun::models {
namespace {

// Every layer has experts when the model has any, and a shared expert behind a sigmoid.
runtime::Ffn feed_forward(ModelMetadata& m, int64_t layer) {
  const int64_t shared = m.integer("expert_shared_feed_forward_length", 0, kWidths);
  return dense_or_moe(m, layer, {},
                      {.n_ff = expert_width(m, layer),
                       .shared_ff = shared > 0 ? shared : m.n_ff(layer),
                       .shared_gate = true});
}

}  // namespace

ModelSpec build_qwen35(ModelMetadata& m) {
  const bool is_next = m.architecture() == "qwen3next";
  const NormStyle style = rms_norm(m);
  ModelSpec spec = decoder(m, style);
  RopeOptions turn{.split_halves = true};
  if (!is_next) turn.sections = runtime::RopeSections::kInterleaved;
  const int rope = add_rope(m, spec, turn);
  const std::vector<bool> recurrent = recurrent_layers(m, 4);
  for_each_layer(m, spec, [&](int64_t i, LayerSpec& layer) {
    layer.mixer_norm = norm(style, block(i, "attn_norm"), m.d_model());
    layer.ffn_norm = norm(style, block(i, "post_attention_norm"), m.d_model());
    if (recurrent[static_cast<size_t>(i)]) {
      layer.mixer = delta_net(m, i, {.tiled_heads = !is_next});
    } else {
      layer.mixer = gated_attention(m, i, {.rope = rope, .qk_norm = QkNorm::kHead});
    }
    layer.ffn = feed_forward(m, i);
  });
  return spec;
}

}  // namespace llmrun::models
