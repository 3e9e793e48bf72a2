// Qwen 1: its feed_forward_length counts gate and up together.
#include <algorithm>

#include "models/common.h"

namespace llmrun::models {

ModelSpec build_qwen(ModelMetadata& m) {
  const DenseOptions half{.n_ff = std::max(int64_t{1}, m.n_ff(0) / 2)};
  return plain_decoder(m, rms_norm(m),
                       {.whole = {.tie = Tie::kNever},
                        .rope = {.split_halves = true},
                        .attention = {.bias = Presence::kRequired},
                        .ffn = every_layer_dense(m, half)});
}

}  // namespace llmrun::models
