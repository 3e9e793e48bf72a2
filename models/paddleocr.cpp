// PaddleOCR-VL: the language model of ERNIE 4.5 with rope sections.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_paddleocr(ModelMetadata& m) {
  return plain_decoder(m, rms_norm(m),
                       {.rope = halves_with_sections(m, runtime::RopeSections::kCyclic),
                        .attention = {.out_bias = Presence::kOptional}});
}

}  // namespace llmrun::models
