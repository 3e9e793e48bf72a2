// OLMo 2 and 3: norms after the branches only, queries and keys normalised as whole rows. The
// windowed layers of OLMo 3 have an unscaled rope.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_olmo2(ModelMetadata& m) {
  return plain_decoder(m, rms_norm(m),
                       {.whole = {.tie = Tie::kNever},
                        .norms = NormPlaces::kAfter,
                        .rope = {.split_halves = true},
                        .windows = WindowPattern(m, window_size(m, 0), 4),
                        .window_rope = RopeOptions{.split_halves = true, .scaled = false},
                        .attention = {.qk_norm = QkNorm::kRow}});
}

}  // namespace llmrun::models
