// LLaDA with experts: every token sees the whole text; the router's weights are not normalised.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_llada_moe(ModelMetadata& m) {
  ModelSpec spec =
      plain_decoder(m, rms_norm(m),
                    {.whole = {.tie = Tie::kNever},
                     .rope = {.split_halves = true},
                     .attention = {.qk_norm = QkNorm::kHead},
                     .ffn = every_layer_moe(m, {.own_width = true, .normalise = false})});
  spec.causal = false;
  return spec;
}

}  // namespace llmrun::models
