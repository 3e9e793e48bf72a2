// Maple: rope in the windowed layers only, normalised queries and keys, experts with clamped gates.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_maple(ModelMetadata& m) {
  const std::vector<float> limits = m.required_numbers("swiglu_clamp_exp");
  const FfnOf clamped = [&](int64_t i) {
    auto ffn = moe_ffn(m, i, {.own_width = true});
    ffn.limit = limits[static_cast<size_t>(i)];
    return ffn;
  };
  return plain_decoder(m, rms_norm(m),
                       {.whole = {.tie = Tie::kNever},
                        .with_rope = false,
                        .windows = required_pattern(m),
                        .window_rope = RopeOptions{.split_halves = true,
                                                   .n_dims = window_rope_dims(m),
                                                   .base = window_rope_base(m)},
                        .attention = {.qk_norm = QkNorm::kHead},
                        .ffn = clamped});
}

}  // namespace llmrun::models
