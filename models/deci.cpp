// Nemotron and DeciLM made by architecture search: a layer may have no attention, one matrix in its
// place, or no feed-forward, in which case there is no layer at all.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_deci(ModelMetadata& m) {
  const NormStyle style = rms_norm(m);
  ModelSpec spec = decoder(m, style);
  const int rope = add_rope(m, spec, {.factors = Factors::kByScalingType});
  const int64_t d = m.d_model();
  for_each_layer(m, spec, [&](int64_t i, LayerSpec& layer) {
    if (m.n_ff(i) == 0) return;
    pre_norms(m, style, i, layer);
    layer.ffn = dense_ffn(m, i, {.bias = Presence::kOptional});
    if (m.n_heads(i) == 0) {
      layer.mixer_norm.reset();
    } else if (m.n_kv_heads(i) == 0) {
      layer.mixer = runtime::LinearMixer{linear(block(i, "attn_output"), d, d)};
    } else {
      layer.mixer = attention(m, i, {.rope = rope, .out_bias = Presence::kOptional});
    }
  });
  return spec;
}

}  // namespace llmrun::models
