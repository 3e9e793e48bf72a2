// Orion: Llama with layer norms.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_orion(ModelMetadata& m) {
  return plain_decoder(m, layer_norm(m, Presence::kRequired),
                       {.whole = {.tie = Tie::kNever}, .rope = {.split_halves = true}});
}

}  // namespace llmrun::models
