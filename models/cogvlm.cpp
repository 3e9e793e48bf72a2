// CogVLM, its language half: rope of the fixed base 10000; q, k and v each begin a block of
// d_model rows in the fused tensor. Images would take the vis_* tensors.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_cogvlm(ModelMetadata& m) {
  const int64_t d = m.d_model();
  return plain_decoder(m, rms_norm(m),
                       {.rope = {.split_halves = true, .base = 10000.0, .scaled = false},
                        .attention = {.bias = Presence::kNever},
                        .adjust = [&](int64_t i, LayerSpec& layer) {
                          auto& mixer = std::get<runtime::Attention>(layer.mixer);
                          const int64_t n_rows = 3 * mixer.n_heads * mixer.k_dim;
                          int64_t first = 0;
                          for (runtime::Linear* part : {&mixer.q, &mixer.k, &mixer.v}) {
                            *part = part_of(block(i, "attn_qkv"), d, n_rows, first, part->n_out);
                            first += d;
                          }
                        }});
}

}  // namespace llmrun::models
