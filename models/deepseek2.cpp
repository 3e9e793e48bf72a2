// DeepSeek V2, V3 and R1 (and GLM 4.7 Flash): latent attention, experts in groups, a shared expert.
#include <cmath>

#include "models/common.h"

namespace llmrun::models {
namespace {

// The factor m of the scores' m^2. A log multiplier (the file stores a tenth of it) takes its
// part of YaRN's magnitude out of cos and sin.
float score_magnitude(ModelMetadata& m, runtime::Rope& rope) {
  if (rope.factor == 1.0) return rope.magnitude;
  const auto log_factor = static_cast<float>(std::log(rope.factor));
  if (rope.scaling != runtime::RopeScaling::kYarn) {
    return rope.magnitude * (1.0F + 0.1F * log_factor);
  }
  const float magnitude = rope.magnitude;
  const float multiplier = 10.0F * m.number("rope.scaling.yarn_log_multiplier", 0.0F);
  rope.magnitude /= 1.0F + 0.1F * multiplier * log_factor;
  return magnitude;
}

RouterKind default_router(ModelMetadata& m) {
  const bool glm = (m.n_layers() == 47 || m.n_layers() == 48) && m.n_vocab() == 154880;
  return glm ? RouterKind::kSigmoid : RouterKind::kSoftmax;
}

}  // namespace

ModelSpec build_deepseek2(ModelMetadata& m) {
  const NormStyle style = rms_norm(m);
  ModelSpec spec = decoder(m, style);
  runtime::Rope kind = rope(m, {});
  const LatentOptions latent{.rope = 0,
                             .score_magnitude = score_magnitude(m, kind),
                             .temperature = {.scale = m.number("attention.temperature_scale", 0.0F),
                                             .length = m.integer("attention.temperature_length", 1,
                                                                 {1, runtime::kMaxContext})}};
  add_rope(spec, kind);
  const int64_t n_dense = m.integer("leading_dense_block_count", 0, {0, runtime::kMaxLayers});
  const int64_t width = m.integer("expert_feed_forward_length", 0, kWidths);
  const MoeOptions experts{
      .n_ff = width,
      .router = router_kind(m, default_router(m)),
      .normalise = m.boolean("expert_weights_norm", false),
      .scale = expert_scale(m),
      .selection_bias = Presence::kOptional,
      .shared_ff = width * m.integer("expert_shared_count", 0, {0, runtime::kMaxExperts})};
  for_each_layer(m, spec, [&](int64_t i, LayerSpec& layer) {
    pre_norms(m, style, i, layer);
    layer.mixer = latent_attention(m, i, latent);
    if (i < n_dense) {
      layer.ffn = dense_ffn(m, i);
    } else {
      layer.ffn = moe_ffn(m, i, experts);
    }
  });
  return spec;
}

}  // namespace llmrun::models
