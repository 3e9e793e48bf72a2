// DeepSeek V2, V3 and R1 (and GLM 4.7 Flash): latent attention, experts in groups, a shared expert.
#include <cmath>

#include "models/common.h"

namespace llmrun::models {
namespace {

// The factor m of the scores' m^2. A log multiplier, of which the file stores a tenth, moves a part
// of YaRN's magnitude from cos and sin into it: all of it in DeepSeek's own files.
float score_magnitude(ModelMetadata& m, runtime::Rope& rope) {
  if (rope.factor == 1.0) return rope.magnitude;
  const auto log_factor = static_cast<float>(std::log(rope.factor));
  const float multiplier = 10.0F * m.number("rope.scaling.yarn_log_multiplier", 0.0F);
  const float whole = 1.0F + 0.1F * log_factor;
  const float moved = 1.0F + 0.1F * multiplier * log_factor;
  if (rope.scaling != runtime::RopeScaling::kYarn) return rope.magnitude * whole * moved;
  if (multiplier != 0.0F) rope.magnitude /= m.architecture() == "deepseek2" ? whole : moved;
  return rope.magnitude * moved;
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
  MoeOptions experts = keyed_experts(m, router_kind(m, default_router(m)));
  experts.selection_bias = Presence::kOptional;
  experts.shared_count = m.integer("expert_shared_count", 0, kExpertCounts);
  const FfnOf ffn = experts_after_dense(m, experts);
  for_each_layer(m, spec, [&](int64_t i, LayerSpec& layer) {
    pre_norms(m, style, i, layer);
    layer.mixer = latent_attention(m, i, latent);
    layer.ffn = ffn(i);
  });
  return spec;
}

}  // namespace llmrun::models
