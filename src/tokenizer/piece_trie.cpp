// Builds the trie level by level from sorted pieces.
#include "tokenizer/piece_trie.h"

namespace llmrun::tokenizer {

PieceTrie::PieceTrie(std::vector<std::pair<std::string_view, uint32_t>> pieces) {
  std::stable_sort(pieces.begin(), pieces.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  struct Range {
    size_t begin, end;  // the pieces below a node
  };
  std::vector<Range> level = {{0, pieces.size()}};
  size_t first_node = 0;  // of the level
  for (size_t depth = 0; !level.empty(); ++depth) {
    std::vector<Range> next;
    const size_t next_node = first_node + level.size();
    for (size_t n = 0; n < level.size(); ++n) {
      auto [begin, end] = level[n];
      // Pieces that end here stand first.
      if (begin < end && pieces[begin].first.size() == depth) {
        if (depth > 0) nodes_[first_node + n].id = pieces[begin].second;
        while (begin < end && pieces[begin].first.size() == depth) ++begin;
      }
      nodes_[first_node + n].first_child = static_cast<uint32_t>(next_node + next.size());
      while (begin < end) {
        const char label = pieces[begin].first[depth];
        size_t stop = begin;
        while (stop < end && pieces[stop].first[depth] == label) ++stop;
        next.push_back({begin, stop});
        Node node;
        node.label = static_cast<uint8_t>(label);
        nodes_.push_back(node);
        ++nodes_[first_node + n].n_children;
        begin = stop;
      }
    }
    first_node = next_node;
    level = std::move(next);
  }
}

}  // namespace llmrun::tokenizer
