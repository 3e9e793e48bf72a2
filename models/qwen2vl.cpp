// Qwen 2 VL and 2.5 VL, text only: Qwen 2 with rope sections. Old files give no epsilon.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_qwen2vl(ModelMetadata& m) {
  const NormStyle style{.eps = m.number("attention.layer_norm_rms_epsilon", 0.0F)};
  return plain_decoder(m, style, {.rope = halves_with_sections(m, runtime::RopeSections::kCyclic)});
}

}  // namespace llmrun::models
