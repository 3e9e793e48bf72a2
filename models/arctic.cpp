// Snowflake Arctic: a small dense feed-forward, and experts beside it that read the layer's input.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_arctic(ModelMetadata& m) {
  const NormStyle style = rms_norm(m);
  return plain_decoder(m, style,
                       {.ffn = every_layer_dense(m, {.n_ff = m.d_model()}),
                        .adjust = [&](int64_t i, LayerSpec& layer) {
                          layer.side_norm = norm(style, block(i, "ffn_norm_exps"), m.d_model());
                          layer.side_ffn = moe_ffn(m, i, {});
                        }});
}

}  // namespace llmrun::models
