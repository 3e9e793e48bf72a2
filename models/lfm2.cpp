// LFM2: gated short convolutions, and attention in some layers; the first layers of LFM2 MoE are
// dense.
#include "models/common.h"

namespace llmrun::models {
namespace {

MoeOptions experts(ModelMetadata& m) {
  return {.n_ff = m.required_integer("expert_feed_forward_length", kCounts),
          .router = required_router(m),
          .selection_bias = Presence::kRequired};
}

}  // namespace

ModelSpec build_lfm2(ModelMetadata& m) {
  const NormStyle style = rms_norm(m);
  ModelSpec spec = decoder(m, style);
  spec.head.norm = norm(style, "token_embd_norm", m.d_model());
  if (!m.boolean("attention.causal", true)) {
    m.fail(ErrorCode::kUnsupported,
           "lfm2.attention.causal is off: this build runs the causal form only");
  }
  const int rope = add_rope(m, spec, {.split_halves = true});
  const AttentionOptions options{
      .rope = rope, .qk_norm = QkNorm::kHead, .window = window_size(m, 0)};
  const FfnOf ffn =
      m.n_experts() == 0 ? every_layer_dense(m, {}) : experts_after_dense(m, experts(m));
  for_each_layer(m, spec, [&](int64_t i, LayerSpec& layer) {
    pre_norms(m, style, i, layer);
    if (is_recurrent(m, i)) {
      layer.mixer = short_conv(m, i);
    } else {
      layer.mixer = attention(m, i, options);
    }
    layer.ffn = ffn(i);
  });
  return spec;
}

}  // namespace llmrun::models
