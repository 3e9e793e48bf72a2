// Mistral Small 3.x and Ministral 3: Llama with YaRN keys of its own and a query temperature that
// grows with the position.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_mistral3(ModelMetadata& m) {
  const runtime::QueryTemperature temperature{
      .scale = m.number("attention.temperature_scale", 0.0F),
      .length = m.integer("rope.scaling.original_context_length", m.context_length(),
                          {1, runtime::kMaxContext})};
  return plain_decoder(m, rms_norm(m),
                       {.rope = {.factors = Factors::kByScalingType, .yarn_beta_keys = true},
                        .attention = {.out_bias = Presence::kOptional, .temperature = temperature},
                        .ffn = dense_or_experts(m, {.bias = Presence::kOptional}, {})});
}

}  // namespace llmrun::models
