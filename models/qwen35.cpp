// Qwen3-Next and Qwen 3.5 (dense and with experts): gated delta nets, and attention with output
// gates in every fourth layer.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_qwen35(ModelMetadata& m) {
  const bool is_next = m.architecture() == "qwen3next";
  const NormStyle style = rms_norm(m);
  ModelSpec spec = decoder(m, style);
  RopeOptions turn{.split_halves = true};
  if (!is_next) turn.sections = runtime::RopeSections::kInterleaved;
  const int rope = add_rope(m, spec, turn);
  const std::vector<bool> recurrent = recurrent_layers(m, 4);
  const FfnOf ffn = dense_or_experts(m, {}, qwen_experts(m));
  for_each_layer(m, spec, [&](int64_t i, LayerSpec& layer) {
    layer.mixer_norm = norm(style, block(i, "attn_norm"), m.d_model());
    layer.ffn_norm = norm(style, block(i, "post_attention_norm"), m.d_model());
    if (recurrent[static_cast<size_t>(i)]) {
      layer.mixer = delta_net(m, i, {.tiled_heads = !is_next});
    } else {
      layer.mixer = gated_attention(m, i, {.rope = rope, .qk_norm = QkNorm::kHead});
    }
    layer.ffn = ffn(i);
  });
  return spec;
}

}  // namespace llmrun::models
