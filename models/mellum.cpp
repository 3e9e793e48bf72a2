// Mellum with experts: the windowed layers have an unscaled rope.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_mellum(ModelMetadata& m) {
  return plain_decoder(m, rms_norm(m),
                       {.whole = {.tie = Tie::kNever},
                        .rope = {.split_halves = true},
                        .windows = WindowPattern(m, window_size(m, 0), 4),
                        .window_rope = RopeOptions{.split_halves = true, .scaled = false},
                        .attention = {.qk_norm = QkNorm::kHead},
                        .ffn = every_layer_moe(m, {.own_width = true})});
}

}  // namespace llmrun::models
