// Muse Glimmer: norms before and after both branches and on the embedding, a gate on the heads'
// output, rope in the windowed layers only.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_muse_glimmer(ModelMetadata& m) {
  const NormStyle style = rms_norm(m);
  ModelSpec spec = decoder(m, style, {.tie = Tie::kNever});
  NormStyle weightless = style;
  weightless.weight = Presence::kNever;
  spec.embedding.norm = norm(weightless, "", m.d_model());
  spec.head.logit_scale = m.required_number("logit_scale");
  spec.head.soft_cap = m.number("final_logit_softcapping", 30.0F);
  const WindowPattern pattern(m, required_window(m), 4);
  const int rope = add_rope(m, spec,
                            {.n_dims = pattern.windowed(0) ? window_rope_dims(m) : m.rope_dims(),
                             .base = window_rope_base(m),
                             .scaled = false,
                             .keep_magnitude = true});
  for_each_layer(m, spec, [&](int64_t i, LayerSpec& layer) {
    pre_norms(m, style, i, layer);
    post_norms(m, {.eps = 1e-8F}, i, layer);
    layer.mixer = attention(m, i,
                            {.rope = pattern.windowed(i) ? rope : runtime::kNoRope,
                             .qk_norm = QkNorm::kHead,
                             .window = pattern.window(i),
                             .gate = Activation::kSigmoid});
    layer.ffn = dense_ffn(m, i);
  });
  return spec;
}

}  // namespace llmrun::models
