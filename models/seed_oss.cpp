// Seed-OSS: the norm before the feed-forward is stored as post_attention_norm.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_seed_oss(ModelMetadata& m) {
  const NormStyle style = rms_norm(m);
  return plain_decoder(
      m, style, {.rope = {.split_halves = true}, .adjust = [&](int64_t i, LayerSpec& layer) {
                   layer.ffn_norm = norm(style, block(i, "post_attention_norm"), m.d_model());
                 }});
}

}  // namespace llmrun::models
