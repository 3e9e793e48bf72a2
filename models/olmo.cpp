// OLMo 1: layer norms without weights, and queries, keys and values clamped.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_olmo(ModelMetadata& m) {
  NormStyle style = layer_norm(m, Presence::kNever);
  style.weight = Presence::kNever;
  return plain_decoder(m, style,
                       {.attention = {.clamp_qkv = m.number("attention.clamp_kqv", 0.0F)}});
}

}  // namespace llmrun::models
