// Talkie: RMS norms without weights; queries and keys normalised after the rotation, with a factor
// for each head of queries; the embedding is added again after every layer.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_talkie(ModelMetadata& m) {
  NormStyle style = rms_norm(m);
  style.weight = Presence::kNever;
  ModelSpec spec = plain_decoder(
      m, style,
      {.whole = {.tie = Tie::kNever},
       .rope = {.split_halves = true},
       .adjust = [&](int64_t i, LayerSpec& layer) {
         auto& mixer = std::get<runtime::Attention>(layer.mixer);
         mixer.q_norm = mixer.k_norm = weightless_norm(style, mixer.k_dim);
         mixer.qk_norm_after_rope = true;
         mixer.query_gains = tensor(block(i, "attn_q_norm.weight"), {1, mixer.n_heads});
         layer.embedding_gain = tensor(block(i, "layer_output_scale.weight"), {1});
       }});
  spec.embedding.norm = weightless_norm(style, m.d_model());
  spec.head.logit_scale = m.required_number("logit_scale");
  return spec;
}

}  // namespace llmrun::models
