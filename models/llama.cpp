// Llama 1 to 3, Mistral, SmolLM 2, and with experts Mixtral.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_llama(ModelMetadata& m) {
  return plain_decoder(
      m, rms_norm(m),
      {.rope = {.factors = Factors::kByScalingType},
       .attention = {.out_bias = Presence::kOptional},
       .ffn = dense_or_experts(m, {.bias = Presence::kOptional}, {.gate = Presence::kOptional})});
}

}  // namespace llmrun::models
