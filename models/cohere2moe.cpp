// Command A with experts: Cohere 2 whose layers after the dense ones have experts; a shared one is
// averaged with the routed ones.
#include "models/common.h"

namespace llmrun::models {
namespace {

// Files choose the kind of norm by the epsilon they give.
NormStyle norm_by_key(ModelMetadata& m) {
  if (m.number("attention.layer_norm_rms_epsilon", 0.0F) != 0.0F) return rms_norm(m);
  return layer_norm(m, Presence::kNever);
}

FfnOf cohere_experts(ModelMetadata& m) {
  MoeOptions experts = keyed_experts(m, router_kind(m, RouterKind::kSigmoid));
  const int64_t n_shared = m.integer("expert_shared_count", 0, kExpertCounts);
  if (n_shared > 0) {
    experts.shared_ff = m.integer("expert_shared_feed_forward_length", 0, kWidths);
    experts.shared_count = n_shared;
    experts.output_scale = 0.5F;
  }
  return experts_after_dense(m, experts);
}

}  // namespace

ModelSpec build_cohere2moe(ModelMetadata& m) {
  const NormStyle style = norm_by_key(m);
  ModelSpec spec = decoder(m, style);
  spec.head.logit_scale = one_if_zero(m.required_number("logit_scale"));
  const int rope = add_rope(m, spec, {});
  const WindowPattern pattern(m, required_window(m), 4, WindowPattern::Full::kFirst);
  const int64_t n_dense = m.required_integer("leading_dense_block_count", {0, runtime::kMaxLayers});
  const FfnOf ffn = cohere_experts(m);
  for_each_layer(m, spec, [&](int64_t i, LayerSpec& layer) {
    parallel_norm(m, style, i, layer);
    const bool turns = pattern.windowed(i) || i < n_dense;
    layer.mixer =
        attention(m, i, {.rope = turns ? rope : runtime::kNoRope, .window = pattern.window(i)});
    layer.ffn = ffn(i);
  });
  return spec;
}

}  // namespace llmrun::models
