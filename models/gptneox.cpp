// GPT-NeoX and Pythia: branches parallel, each with its own norm, or one after the other.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_gptneox(ModelMetadata& m) {
  const bool parallel = m.required_boolean("use_parallel_residual");
  return plain_decoder(m, layer_norm(m, Presence::kRequired),
                       {.whole = {.tie = Tie::kNever},
                        .rope = {.split_halves = true},
                        .attention = {.bias = Presence::kRequired, .out_bias = Presence::kRequired},
                        .ffn = every_layer_dense(m, plain_gelu()),
                        .adjust = [&](int64_t /*layer*/, LayerSpec& layer) {
                          if (parallel) layer.residual = runtime::Residual::kParallel;
                        }});
}

}  // namespace llmrun::models
