// Dream: Qwen 2 as a diffusion model, in which every token sees the whole text.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_dream(ModelMetadata& m) {
  ModelSpec spec = plain_decoder(m, rms_norm(m), {.rope = {.split_halves = true}});
  spec.causal = false;
  return spec;
}

}  // namespace llmrun::models
