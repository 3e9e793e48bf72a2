// InternLM 2 and 2.5, and XVERSE: Llama with an output matrix of its own.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_internlm2(ModelMetadata& m) {
  return plain_decoder(m, rms_norm(m), {.whole = {.tie = Tie::kNever}});
}

}  // namespace llmrun::models
