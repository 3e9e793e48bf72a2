// MiniCPM 1 and 2 (dense and with experts): Llama with scaled embeddings, branches and logits.
#include <cmath>

#include "models/common.h"

namespace llmrun::models {

ModelSpec build_minicpm(ModelMetadata& m) {
  const NormStyle style = rms_norm(m);
  ModelSpec spec = decoder(m, style);
  const auto n_layers = static_cast<float>(m.n_layers());
  const auto d_model = static_cast<float>(m.d_model());
  spec.embedding.scale = one_if_zero(m.number("embedding_scale", 12.0F));
  spec.head.logit_scale = 1.0F / one_if_zero(m.number("logit_scale", 256.0F / d_model));
  const float residual_scale = one_if_zero(m.number("residual_scale", 1.4F / std::sqrt(n_layers)));
  const int rope = add_rope(m, spec, {.factors = Factors::kByScalingType});
  for_each_layer(m, spec, [&](int64_t i, LayerSpec& layer) {
    pre_norms(m, style, i, layer);
    layer.branch_scale = residual_scale;
    layer.mixer = attention(m, i, {.rope = rope, .out_bias = Presence::kOptional});
    layer.ffn = dense_or_moe(m, i, {.bias = Presence::kOptional}, {});
  });
  return spec;
}

}  // namespace llmrun::models
