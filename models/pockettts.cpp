// Pocket TTS: layer norms with biases, a feed-forward without gate or biases, a tied output.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_pockettts(ModelMetadata& m) {
  const DenseOptions gelu{.activation = Activation::kGelu, .gated = false};
  return plain_decoder(m, layer_norm(m, Presence::kRequired),
                       {.whole = {.tie = Tie::kAlways}, .ffn = every_layer_dense(m, gelu)});
}

}  // namespace llmrun::models
