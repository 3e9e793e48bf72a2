// Kimi Linear: Kimi Delta Attention, latent attention without positions in some layers, experts.
#include <algorithm>

#include "models/common.h"

namespace llmrun::models {

ModelSpec build_kimi_linear(ModelMetadata& m) {
  const NormStyle style = rms_norm(m);
  ModelSpec spec = decoder(m, style, {.tie = Tie::kNever});
  const int64_t n_shared = m.integer("expert_shared_count", 1, kExpertCounts);
  const FfnOf ffn =
      experts_after_dense(m, {.n_ff = m.required_integer("expert_feed_forward_length", kCounts),
                              .router = required_router(m),
                              .scale = expert_scale(m),
                              .selection_bias = Presence::kRequired,
                              .shared_count = std::max(int64_t{1}, n_shared)});
  for_each_layer(m, spec, [&](int64_t i, LayerSpec& layer) {
    pre_norms(m, style, i, layer);
    if (is_recurrent(m, i)) {
      layer.mixer = kimi_delta(m, i, {});
    } else {
      layer.mixer = latent_attention(m, i, {});
    }
    layer.ffn = ffn(i);
  });
  return spec;
}

}  // namespace llmrun::models
