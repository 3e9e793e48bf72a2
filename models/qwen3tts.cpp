// Qwen 3 TTS: Qwen 3 VL whose output scores only the codes of speech, which are the last tokens of
// the vocabulary.
#include "models/common.h"

namespace llmrun::models {
namespace {

constexpr int64_t kCodes = 3072;

}  // namespace

ModelSpec build_qwen3tts(ModelMetadata& m) {
  ModelSpec spec =
      plain_decoder(m, rms_norm(m),
                    {.rope = halves_with_sections(m, runtime::RopeSections::kInterleaved),
                     .attention = {.qk_norm = QkNorm::kHead}});
  if (!spec.head.tied && spec.n_vocab > kCodes) {
    spec.head.output = linear("output", spec.d_model, kCodes);
    spec.head.first_token = spec.n_vocab - kCodes;
  }
  return spec;
}

}  // namespace llmrun::models
