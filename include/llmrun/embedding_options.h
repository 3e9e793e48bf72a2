// How texts become vectors. Vocabulary: any layer may include this header.
#pragma once

#include <cstdint>
#include <optional>

namespace llmrun {

// What becomes of the hidden states of a text's tokens. The values are those that model files have
// in <architecture>.pooling_type.
enum class Pooling : uint8_t {
  kNone,  // all of them: one vector per token
  kMean,  // their mean
  kCls,   // that of the first token
  kLast,  // that of the last token
  kRank,  // a score, from the model's classifier (rerankers)
};

struct EmbedderOptions {
  std::optional<Pooling> pooling = {};  // none: what the model's file says
  int64_t max_tokens = 0;               // of one text; 0: the model's context, at most 8192
  int64_t batch_tokens = 512;  // of all texts read in one pass; at least one text of max_tokens
};

struct EmbedOptions {
  bool normalize = true;   // to length 1
  int64_t dimensions = 0;  // keeps the first ones only (Matryoshka models); 0: all
  bool truncate = false;   // cuts a text that is too long at its end, instead of refusing it
};

}  // namespace llmrun
