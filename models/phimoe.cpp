// Phi 3.5 MoE: RMS norms with biases, long and short rope factors, experts in every layer.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_phimoe(ModelMetadata& m) {
  NormStyle style = rms_norm(m);
  style.bias = Presence::kRequired;
  return plain_decoder(m, style,
                       {.whole = {.tie = Tie::kNever, .output_bias = Presence::kRequired},
                        .rope = {.split_halves = true, .factors = Factors::kLongShort},
                        .attention = {.out_bias = Presence::kRequired},
                        .ffn = every_layer_moe(m, {})});
}

}  // namespace llmrun::models
