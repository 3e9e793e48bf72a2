// MiniMax M2: experts in every layer, chosen with a bias; queries and keys normalised as whole
// rows.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_minimax_m2(ModelMetadata& m) {
  const MoeOptions experts{.router = required_router(m), .selection_bias = Presence::kRequired};
  return plain_decoder(m, rms_norm(m),
                       {.whole = {.tie = Tie::kNever},
                        .rope = {.split_halves = true},
                        .attention = {.qk_norm = QkNorm::kRow},
                        .ffn = every_layer_moe(m, experts)});
}

}  // namespace llmrun::models
