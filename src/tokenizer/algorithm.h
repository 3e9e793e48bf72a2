// What the kinds of tokenizer have in common: ordinary text, free of special tokens, to ids.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "llmrun/error.h"
#include "llmrun/message.h"
#include "tokenizer/merger.h"
#include "tokenizer/token_store.h"
#include "tokenizer/vocabulary.h"
#include "tokenizer/word_cache.h"

namespace llmrun::tokenizer {

// The longest word that may be merged, in symbols; it bounds the memory for one word to about
// 60 bytes each.
inline constexpr size_t kMaxWordSymbols = size_t{1} << 24;
inline tl::unexpected<Error> word_too_long() {
  return make_error(ErrorCode::kUsage, "the text has a word of more than {} bytes; break it up",
                    kMaxWordSymbols);
}

// Working memory of one encode() at a time.
struct Scratch {
  WordCache cache;
  MergeBuffers merge;
  std::string text;
};

class Algorithm {
 public:
  virtual ~Algorithm() = default;
  // Appends the ids of `text`. `at_start`: nothing, or a special token, stands before it.
  virtual Result<void> encode(std::string_view text, bool at_start, Scratch& scratch,
                              std::vector<TokenId>& out) const = 0;
};

// Each may add symbols to `tokens`, which must stay at its address as long as the result lives.
Result<std::unique_ptr<Algorithm>> make_byte_pair(const VocabularyData& data, TokenStore& tokens);
Result<std::unique_ptr<Algorithm>> make_sentence_piece(const VocabularyData& data,
                                                       TokenStore& tokens, bool add_space_prefix);
Result<std::unique_ptr<Algorithm>> make_unigram(const VocabularyData& data, TokenStore& tokens,
                                                bool add_space_prefix);
Result<std::unique_ptr<Algorithm>> make_word_piece(const VocabularyData& data, TokenStore& tokens);

}  // namespace llmrun::tokenizer
