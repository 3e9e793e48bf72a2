// Gemma 1: GeGLU, scaled embeddings. The "+1" of its norms is in the file's weights.
#include <cmath>

#include "models/common.h"

namespace llmrun::models {

ModelSpec build_gemma(ModelMetadata& m) {
  ModelSpec spec = plain_decoder(m, rms_norm(m),
                                 {.whole = {.tie = Tie::kAlways},
                                  .rope = {.split_halves = true},
                                  .ffn = every_layer_dense(m, {.activation = Activation::kGelu})});
  spec.embedding.scale = std::sqrt(static_cast<float>(m.d_model()));
  return spec;
}

}  // namespace llmrun::models
