// Nanbeige 4: Llama whose layers run num_loops times, each time with a cache of their own; between
// two loops the stream takes the final norm.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_nanbeige(ModelMetadata& m) {
  ModelSpec spec = plain_decoder(m, rms_norm(m), {.rope = {.factors = Factors::kRopeFreqs}});
  const int64_t n_loops = m.integer("num_loops", 1, {1, runtime::kMaxLayers / m.n_layers()});
  const std::vector<LayerSpec> loop = spec.layers;
  for (int64_t i = 1; i < n_loops && !loop.empty(); ++i) {
    const size_t first = spec.layers.size();
    spec.layers.insert(spec.layers.end(), loop.begin(), loop.end());
    if (!m.boolean("skip_loop_final_norm", false)) spec.layers[first].stream_norm = spec.head.norm;
  }
  return spec;
}

}  // namespace llmrun::models
