// Kimi Linear: Kimi Delta Attention, latent attention without positions in some layers, experts.
#include <algorithm>

#include "models/common.h"

namespace llmrun::models {

ModelSpec build_kimi_linear(ModelMetadata& m) {
  const NormStyle style = rms_norm(m);
  ModelSpec spec = decoder(m, style, {.tie = Tie::kNever});
  const int64_t n_dense = m.integer("leading_dense_block_count", 0, {0, runtime::kMaxLayers});
  const int64_t width = m.required_integer("expert_feed_forward_length", kCounts);
  const int64_t n_shared = m.integer("expert_shared_count", 1, {0, runtime::kMaxExperts});
  const MoeOptions experts{.n_ff = width,
                           .router = router_kind(m, RouterKind::kSigmoid),
                           .scale = expert_scale(m),
                           .selection_bias = Presence::kRequired,
                           .shared_ff = width * std::max(int64_t{1}, n_shared)};
  for_each_layer(m, spec, [&](int64_t i, LayerSpec& layer) {
    pre_norms(m, style, i, layer);
    if (is_recurrent(m, i)) {
      layer.mixer = kimi_delta(m, i, {});
    } else {
      layer.mixer = latent_attention(m, i, {});
    }
    if (i < n_dense) {
      layer.ffn = dense_ffn(m, i);
    } else {
      layer.ffn = moe_ffn(m, i, experts);
    }
  });
  return spec;
}

}  // namespace llmrun::models
