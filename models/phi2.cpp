// Phi 1, 1.5 and 2: both branches read one layer norm; biases everywhere, at the output too.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_phi2(ModelMetadata& m) {
  const NormStyle style = layer_norm(m, Presence::kRequired);
  return plain_decoder(
      m, style,
      {.whole = {.tie = Tie::kNever, .output_bias = Presence::kRequired},
       .rope = {.split_halves = true},
       .attention = {.out_bias = Presence::kRequired},
       .ffn = every_layer_dense(m, plain_gelu()),
       .adjust = [&](int64_t i, LayerSpec& layer) { parallel_norm(m, style, i, layer); }});
}

}  // namespace llmrun::models
