// The pieces of a vocabulary as a trie: all pieces that a text begins with, in one walk.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace llmrun::tokenizer {

class PieceTrie {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;

  PieceTrie() = default;
  // Pairs of text and id, in any order; of equal texts the first one given counts.
  explicit PieceTrie(std::vector<std::pair<std::string_view, uint32_t>> pieces);

  // Calls found(length, id) for every piece that `text` begins with, shortest first.
  template <typename Found>
  void match(std::string_view text, const Found& found) const {
    const Node* node = nodes_.data();
    for (size_t i = 0; i < text.size(); ++i) {
      node = child(*node, static_cast<unsigned char>(text[i]));
      if (node == nullptr) return;
      if (node->id != kNone) found(i + 1, node->id);
    }
  }

 private:
  struct Node {
    uint32_t first_child = 0;
    uint32_t id = kNone;
    uint16_t n_children = 0;
    uint8_t label = 0;
  };
  const Node* child(const Node& node, unsigned char label) const {
    const Node* const first = nodes_.data() + node.first_child;
    const Node* const last = first + node.n_children;
    const Node* const found = std::lower_bound(
        first, last, label, [](const Node& each, unsigned char l) { return each.label < l; });
    return found != last && found->label == label ? found : nullptr;
  }

  std::vector<Node> nodes_{1};  // the root, then level by level: siblings lie side by side
};

}  // namespace llmrun::tokenizer
