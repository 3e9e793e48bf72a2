// Builds the trie.
#include "tokenizer/special_matcher.h"

#include <algorithm>

#include "tokenizer/vocabulary.h"

namespace llmrun::tokenizer {

void SpecialMatcher::add(std::string_view text, TokenId id) {
  if (text.empty() || text.size() > kMaxMatchedBytes || nodes_ + text.size() >= kMaxNodes) return;
  uint32_t node = 0;
  for (const char c : text) {
    const auto [edge, is_new] =
        edges_.try_emplace(node << 8U | static_cast<unsigned char>(c), nodes_);
    if (is_new) {
      ++nodes_;
      ends_.push_back(-1);
    }
    node = edge->second;
  }
  if (ends_[node] >= 0) return;
  ends_[node] = id;
  longest_ = std::max(longest_, text.size());
  const auto first = static_cast<unsigned char>(text[0]);
  if (text.size() == 1) {
    single_[first] = true;
    for (uint32_t second = 0; second < 256; ++second) {
      const uint32_t pair = first | second << 8U;
      starts_[pair >> 6U] |= uint64_t{1} << (pair & 63U);
    }
  } else {
    const uint32_t pair = first | static_cast<uint32_t>(static_cast<unsigned char>(text[1])) << 8U;
    starts_[pair >> 6U] |= uint64_t{1} << (pair & 63U);
  }
}

}  // namespace llmrun::tokenizer
