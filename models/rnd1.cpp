// RND1: Qwen 3 with experts as a diffusion model, in which every token sees the whole text.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_rnd1(ModelMetadata& m) {
  ModelSpec spec = plain_decoder(m, rms_norm(m),
                                 {.rope = {.split_halves = true},
                                  .attention = {.qk_norm = QkNorm::kHead},
                                  .ffn = every_layer_moe(m, {.own_width = true})});
  spec.causal = false;
  return spec;
}

}  // namespace llmrun::models
