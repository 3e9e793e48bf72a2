// The tokens of the words met lately. Natural text repeats its words, and merging costs far more
// than looking one up. One entry is one cache line; a new word takes the place of the old one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

#include "llmrun/message.h"
#include "tokenizer/hash_table.h"

namespace llmrun::tokenizer {

class WordCache {
 public:
  static constexpr size_t kMaxBytes = 22;
  static constexpr size_t kMaxTokens = 10;

  WordCache() : entries_(kEntries), seed_(random_seed()) {}

  // The place of a word of 1 to kMaxBytes bytes; it stays valid until the next store().
  size_t slot(std::string_view word) const { return hash_text(word, seed_) & (kEntries - 1); }

  // Appends the tokens of the word when it is there.
  bool append(size_t slot, std::string_view word, std::vector<TokenId>& out) const {
    const Entry& entry = entries_[slot];
    if (entry.n_bytes != word.size() || std::memcmp(entry.bytes, word.data(), word.size()) != 0) {
      return false;
    }
    out.insert(out.end(), entry.tokens, entry.tokens + entry.n_tokens);
    return true;
  }

  void store(size_t slot, std::string_view word, std::span<const TokenId> tokens) {
    if (tokens.size() > kMaxTokens) return;
    Entry& entry = entries_[slot];
    entry.n_bytes = static_cast<uint8_t>(word.size());
    entry.n_tokens = static_cast<uint8_t>(tokens.size());
    std::memcpy(entry.bytes, word.data(), word.size());
    if (!tokens.empty()) std::memcpy(entry.tokens, tokens.data(), tokens.size_bytes());
  }

 private:
  static constexpr size_t kEntries = size_t{1} << 14;
  struct alignas(64) Entry {
    TokenId tokens[kMaxTokens] = {};
    uint8_t n_bytes = 0;  // 0: empty
    uint8_t n_tokens = 0;
    char bytes[kMaxBytes] = {};
  };
  static_assert(sizeof(Entry) == 64);
  std::vector<Entry> entries_;
  uint64_t seed_;
};

}  // namespace llmrun::tokenizer
