// PLaMo 1: both branches read one norm.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_plamo(ModelMetadata& m) {
  const NormStyle style = rms_norm(m);
  return plain_decoder(
      m, style,
      {.whole = {.tie = Tie::kNever},
       .rope = {.split_halves = true},
       .adjust = [&](int64_t i, LayerSpec& layer) { parallel_norm(m, style, i, layer); }});
}

}  // namespace llmrun::models
