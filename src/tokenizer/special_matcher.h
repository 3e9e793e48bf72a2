// Finds the tokens that are looked for in a text before it is split: control and user-defined
// tokens. A trie, entered only where two bytes of the text can begin such a token.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "llmrun/message.h"

namespace llmrun::tokenizer {

class SpecialMatcher {
 public:
  void add(std::string_view text, TokenId id);  // the first of equal texts counts

  bool empty() const { return nodes_ == 1; }
  size_t longest() const { return longest_; }

  // The first position >= pos where a match may begin; text.size() when there is none.
  size_t next_candidate(std::string_view text, size_t pos) const {
    if (pos >= text.size()) return text.size();
    for (; pos + 1 < text.size(); ++pos) {
      const uint32_t pair = static_cast<unsigned char>(text[pos]) |
                            static_cast<uint32_t>(static_cast<unsigned char>(text[pos + 1])) << 8U;
      if ((starts_[pair >> 6U] >> (pair & 63U) & 1U) != 0) return pos;
    }
    const auto last = static_cast<unsigned char>(text[pos]);
    return single_[last] ? pos : text.size();
  }

  // Calls accept(id, length) for the tokens that begin at `pos`, shortest first; returns the last
  // one for which it said true, or -1.
  template <typename Accept>
  TokenId longest_match(std::string_view text, size_t pos, Accept&& accept) const {
    TokenId best = -1;
    uint32_t node = 0;
    for (size_t i = pos; i < text.size(); ++i) {
      const auto edge = edges_.find(node << 8U | static_cast<unsigned char>(text[i]));
      if (edge == edges_.end()) break;
      node = edge->second;
      const TokenId id = ends_[node];
      if (id >= 0 && accept(id, i + 1 - pos)) best = id;
    }
    return best;
  }

 private:
  // (node << 8 | byte) -> node. The number of nodes is bounded by the bytes of the vocabulary's
  // special tokens; see kMaxNodes.
  static constexpr uint32_t kMaxNodes = 1U << 24;
  std::unordered_map<uint32_t, uint32_t> edges_;
  std::vector<TokenId> ends_ = {-1};  // node -> the token that ends there
  std::vector<uint64_t> starts_ = std::vector<uint64_t>(65536 / 64);  // first two bytes
  std::vector<bool> single_ = std::vector<bool>(256);                 // tokens of one byte
  uint32_t nodes_ = 1;
  size_t longest_ = 0;
};

}  // namespace llmrun::tokenizer
