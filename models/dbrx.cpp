// DBRX: layer norms without biases, clamped queries, keys and values, experts in every layer.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_dbrx(ModelMetadata& m) {
  const NormStyle style = layer_norm(m, Presence::kNever);
  return plain_decoder(m, style,
                       {.whole = {.tie = Tie::kNever},
                        .rope = {.split_halves = true},
                        .attention = {.bias = Presence::kNever,
                                      .clamp_qkv = m.required_number("attention.clamp_kqv")},
                        .ffn = every_layer_moe(m, {}),
                        .adjust = [&](int64_t i, LayerSpec& layer) {
                          layer.ffn_norm = norm(style, block(i, "attn_output_norm"), m.d_model());
                        }});
}

}  // namespace llmrun::models
