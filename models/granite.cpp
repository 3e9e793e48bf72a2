// Granite 3 (dense and with experts): Llama with four multipliers. granite_swa adds sinks, windows
// and a switch for each layer's rope; its shared expert has gate and up in one tensor.
#include "models/common.h"

namespace llmrun::models {
namespace {

// Which layers have rope.
std::vector<bool> rope_layers(ModelMetadata& m) {
  const auto n_layers = static_cast<size_t>(m.n_layers());
  if (m.architecture() == "granite") {
    return std::vector<bool>(n_layers, m.boolean("rope.scaling.finetuned", true));
  }
  std::vector<bool> layers(n_layers, true);
  if (m.architecture() == "granite_swa") {
    const auto flags = m.flags("attention.rope_pattern");
    for (size_t i = 0; i < flags.size(); ++i) layers[i] = flags[i] != 0;
  }
  return layers;
}

}  // namespace

ModelSpec build_granite(ModelMetadata& m) {
  const bool windows = m.architecture() == "granite_swa";
  const NormStyle style = rms_norm(m);
  ModelSpec spec = decoder(m, style);
  const int rope = add_rope(m, spec, {.factors = Factors::kByScalingType});
  const std::vector<bool> turns = rope_layers(m);
  const WindowPattern pattern(m, windows ? required_window(m) : 0, 0);
  if (windows && !m.is_array("attention.sliding_window_pattern")) {
    m.fail(ErrorCode::kBadModel,
           "granite_swa.attention.sliding_window_pattern must be an array with a flag per layer");
  }
  const float score_scale = m.number("attention.scale", 0.0F);
  const FfnOf ffn =
      dense_or_experts(m, {.bias = Presence::kOptional},
                       {.gate = Presence::kOptional,
                        .shared_ff = m.integer("expert_shared_feed_forward_length", 0, kWidths),
                        .shared_fused = windows});
  for_each_layer(m, spec, [&](int64_t i, LayerSpec& layer) {
    pre_norms(m, style, i, layer);
    layer.mixer = attention(m, i,
                            {.rope = turns[static_cast<size_t>(i)] ? rope : runtime::kNoRope,
                             .out_bias = Presence::kOptional,
                             .scale = score_scale,
                             .window = pattern.window(i),
                             .sinks = windows ? Presence::kRequired : Presence::kNever});
    layer.ffn = ffn(i);
  });
  apply_scales(m, spec, {.logit_divisor = m.required_number("logit_scale")});
  return spec;
}

}  // namespace llmrun::models
