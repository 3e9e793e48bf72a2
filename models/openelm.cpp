// OpenELM: every layer has its own number of heads and its own width; the output is tied.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_openelm(ModelMetadata& m) {
  return plain_decoder(m, rms_norm(m),
                       {.whole = {.tie = Tie::kAlways},
                        .rope = {.split_halves = true},
                        .attention = {.bias = Presence::kNever, .qk_norm = QkNorm::kHead}});
}

}  // namespace llmrun::models
