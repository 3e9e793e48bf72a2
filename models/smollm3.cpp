// SmolLM 3: Llama without rope in every fourth layer.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_smollm3(ModelMetadata& m) {
  return plain_decoder(m, rms_norm(m), {.adjust = [](int64_t i, LayerSpec& layer) {
                         if ((i + 1) % 4 != 0) return;
                         std::get<runtime::Attention>(layer.mixer).rope = runtime::kNoRope;
                       }});
}

}  // namespace llmrun::models
