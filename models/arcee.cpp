// Arcee (AFM): Llama with a feed-forward that squares a ReLU and has no gate.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_arcee(ModelMetadata& m) {
  return plain_decoder(
      m, rms_norm(m),
      {.rope = {.factors = Factors::kRopeFreqs},
       .ffn = every_layer_dense(m, {.activation = Activation::kRelu2, .gated = false})});
}

}  // namespace llmrun::models
