// OLMoE: experts in every layer, whose router weights are taken as they come; queries and keys
// normalised as whole rows.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_olmoe(ModelMetadata& m) {
  return plain_decoder(m, rms_norm(m),
                       {.whole = {.tie = Tie::kNever},
                        .rope = {.split_halves = true},
                        .attention = {.qk_norm = QkNorm::kRow},
                        .ffn = every_layer_moe(m, {.normalise = false})});
}

}  // namespace llmrun::models
