// MiniCPM 3: latent attention with rope in halves and rope factors; embeddings, branches and the
// final state are scaled by constants.
#include <cmath>

#include "models/common.h"

namespace llmrun::models {

ModelSpec build_minicpm3(ModelMetadata& m) {
  const NormStyle style = rms_norm(m);
  ModelSpec spec = decoder(m, style);
  spec.embedding.scale = 12.0F;
  spec.head.logit_scale = 256.0F / static_cast<float>(m.d_model());
  const float branch_scale = 1.4F / std::sqrt(static_cast<float>(m.n_layers()));
  const int rope = add_rope(m, spec, {.split_halves = true, .factors = Factors::kLongShort});
  for_each_layer(m, spec, [&](int64_t i, LayerSpec& layer) {
    pre_norms(m, style, i, layer);
    layer.branch_scale = branch_scale;
    layer.mixer = latent_attention(m, i, {.rope = rope});
    layer.ffn = dense_ffn(m, i);
  });
  return spec;
}

}  // namespace llmrun::models
