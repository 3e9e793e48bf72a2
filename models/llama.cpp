// Llama 1 to 3, Mistral, SmolLM 2, and with experts Mixtral.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_llama(ModelMetadata& m) {
  const NormStyle style = rms_norm(m);
  ModelSpec spec = decoder(m, style);
  const int rope = add_rope(m, spec, {.factors = Factors::kByScalingType});
  for_each_layer(m, spec, [&](int64_t i, LayerSpec& layer) {
    pre_norms(m, style, i, layer);
    layer.mixer = attention(m, i, {.rope = rope, .out_bias = Presence::kOptional});
    layer.ffn = dense_or_moe(m, i, {.bias = Presence::kOptional}, {.gate = Presence::kOptional});
  });
  return spec;
}

}  // namespace llmrun::models
