// Baichuan: the 7B model (32 layers) has rope, the 13B model (40 layers) linear biases; other
// sizes, which nobody published, have neither.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_baichuan(ModelMetadata& m) {
  return plain_decoder(m, rms_norm(m),
                       {.whole = {.tie = Tie::kNever},
                        .with_rope = m.n_layers() == 32,
                        .attention = {.alibi_max_bias = m.n_layers() == 40 ? 8.0F : 0.0F}});
}

}  // namespace llmrun::models
