// Mistral Small 3.x and Ministral 3: Llama with YaRN keys of its own and a query temperature that
// grows with the position.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_mistral3(ModelMetadata& m) {
  const NormStyle style = rms_norm(m);
  ModelSpec spec = decoder(m, style);
  const int rope = add_rope(m, spec, {.factors = Factors::kByScalingType, .yarn_beta_keys = true});
  const runtime::QueryTemperature temperature{
      .scale = m.number("attention.temperature_scale", 0.0F),
      .length = m.integer("rope.scaling.original_context_length", m.context_length(),
                          {1, runtime::kMaxContext})};
  for_each_layer(m, spec, [&](int64_t i, LayerSpec& layer) {
    pre_norms(m, style, i, layer);
    auto mixer = attention(m, i, {.rope = rope, .out_bias = Presence::kOptional});
    mixer.temperature = temperature;
    layer.mixer = std::move(mixer);
    layer.ffn = dense_or_moe(m, i, {.bias = Presence::kOptional}, {});
  });
  return spec;
}

}  // namespace llmrun::models
