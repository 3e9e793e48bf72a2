// Spark 2.5: a gate for each head, GeGLU; the windowed layers have a rope of their own.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_spark2_5(ModelMetadata& m) {
  return plain_decoder(m, rms_norm(m),
                       {.rope = {.split_halves = true},
                        .windows = required_pattern(m),
                        .window_rope = RopeOptions{.split_halves = true,
                                                   .n_dims = window_rope_dims(m),
                                                   .base = window_rope_base(m)},
                        .attention = {.gate = Activation::kSigmoid},
                        .ffn = every_layer_dense(m, {.activation = Activation::kGelu})});
}

}  // namespace llmrun::models
