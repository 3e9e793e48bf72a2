// ChatGLM 2 to 4: rope in the first half of each head, gate and up in one tensor.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_chatglm(ModelMetadata& m) {
  return plain_decoder(m, rms_norm(m), {.ffn = every_layer_dense(m, {.fused_up = true})});
}

}  // namespace llmrun::models
