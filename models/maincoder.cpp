// Maincoder: Llama with queries and keys normalised after the rotation.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_maincoder(ModelMetadata& m) {
  return plain_decoder(m, rms_norm(m), {.attention = {.qk_norm = QkNorm::kHeadAfterRope}});
}

}  // namespace llmrun::models
