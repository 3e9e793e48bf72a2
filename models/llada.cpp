// LLaDA: Llama as a diffusion model, in which every token sees the whole text. The biases and rope
// factors that some files carry are not applied.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_llada(ModelMetadata& m) {
  ModelSpec spec = plain_decoder(m, rms_norm(m), {});
  spec.causal = false;
  return spec;
}

}  // namespace llmrun::models
