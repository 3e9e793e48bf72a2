// MiniCPM 1 and 2 (dense and with experts): Llama with scaled embeddings, branches and logits.
#include <cmath>

#include "models/common.h"

namespace llmrun::models {

ModelSpec build_minicpm(ModelMetadata& m) {
  ModelSpec spec = plain_decoder(m, rms_norm(m),
                                 {.rope = {.factors = Factors::kByScalingType},
                                  .attention = {.out_bias = Presence::kOptional},
                                  .ffn = dense_or_experts(m, {.bias = Presence::kOptional}, {})});
  const auto n_layers = static_cast<float>(m.n_layers());
  const auto d_model = static_cast<float>(m.d_model());
  apply_scales(m, spec,
               {.embedding = 12.0F,
                .residual = 1.4F / std::sqrt(n_layers),
                .logit_divisor = 256.0F / d_model});
  return spec;
}

}  // namespace llmrun::models
