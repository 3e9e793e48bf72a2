// Muse Glimmer: norms before and after both branches and on the embedding, a gate on the heads'
// output, rope in the windowed layers only.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_muse_glimmer(ModelMetadata& m) {
  const WindowPattern pattern(m, required_window(m), 4);
  const NormStyle style = rms_norm(m);
  // The kind of the first layer decides for all.
  const int64_t dims = pattern.windowed(0) ? window_rope_dims(m) : m.rope_dims();
  ModelSpec spec =
      plain_decoder(m, style,
                    {.whole = {.tie = Tie::kNever},
                     .norms = NormPlaces::kBoth,
                     .post_norm = NormStyle{.eps = 1e-8F},
                     .with_rope = false,
                     .windows = pattern,
                     .window_rope = RopeOptions{.n_dims = dims,
                                                .base = window_rope_base(m),
                                                .scaled = false,
                                                .keep_magnitude = true},
                     .attention = {.qk_norm = QkNorm::kHead, .gate = Activation::kSigmoid}});
  spec.embedding.norm = weightless_norm(style, m.d_model());
  spec.head.logit_scale = m.required_number("logit_scale");
  spec.head.soft_cap = m.number("final_logit_softcapping", 30.0F);
  return spec;
}

}  // namespace llmrun::models
