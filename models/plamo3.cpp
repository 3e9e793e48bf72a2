// PLaMo 3: norms before and after both branches, normalised queries and keys, gate and up in one
// tensor; the windowed layers have a rope of their own that is never scaled.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_plamo3(ModelMetadata& m) {
  const NormStyle style = rms_norm(m);
  NormStyle post_style = style;
  post_style.suffix = "";
  return plain_decoder(m, style,
                       {.norms = NormPlaces::kBoth,
                        .post_norm = post_style,
                        .rope = {.split_halves = true},
                        .windows = WindowPattern(m, window_size(m, 0), 8),
                        .window_rope = own_window_rope(m, m.rope_dims()),
                        .attention = {.bias = Presence::kNever, .qk_norm = QkNorm::kHead},
                        .ffn = every_layer_dense(m, {.fused_up = true})});
}

}  // namespace llmrun::models
