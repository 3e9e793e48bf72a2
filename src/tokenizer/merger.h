// Byte-pair merging: of all adjacent pairs that can merge, the one of lowest rank (leftmost on a
// tie) merges, until none can. O(n²) in tiny words, where it is fastest; O(n log n) in others.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

namespace llmrun::tokenizer {

// A part of a word: bytes [begin, begin + length) and what they are so far.
struct Symbol {
  uint32_t begin;
  uint32_t length;
  uint32_t id;
};

// What a pair becomes. Lower ranks go first; kNoMerge: the pair stays.
struct MergeCandidate {
  static constexpr uint32_t kNoMerge = UINT32_MAX;
  uint32_t rank = kNoMerge;
  uint32_t id = 0;
};

// Buffers that are kept from word to word.
struct MergeBuffers {
  struct Link {
    uint32_t previous;
    uint32_t next;
  };
  struct Queued {
    uint64_t key;  // rank << 32 | index of the left symbol
    uint32_t left_length;
    uint32_t right_length;
    uint32_t id;
    bool operator>(const Queued& other) const { return key > other.key; }
  };
  std::vector<Symbol> symbols;  // in: the word; out: the merged symbols
  std::vector<MergeCandidate> candidates;
  std::vector<Link> links;
  std::vector<Queued> queue;
};

// Rules: MergeCandidate merge(const Symbol& left, const Symbol& right).
template <typename Rules>
void merge_short_word(const Rules& rules, MergeBuffers& buffers) {
  std::vector<Symbol>& symbols = buffers.symbols;
  std::vector<MergeCandidate>& candidates = buffers.candidates;
  size_t count = symbols.size();
  candidates.resize(count);
  for (size_t i = 0; i + 1 < count; ++i) candidates[i] = rules.merge(symbols[i], symbols[i + 1]);
  while (count > 1) {
    size_t best = 0;
    for (size_t i = 1; i + 1 < count; ++i) {
      if (candidates[i].rank < candidates[best].rank) best = i;
    }
    if (candidates[best].rank == MergeCandidate::kNoMerge) break;
    symbols[best].length += symbols[best + 1].length;
    symbols[best].id = candidates[best].id;
    for (size_t i = best + 1; i + 1 < count; ++i) {
      symbols[i] = symbols[i + 1];
      candidates[i] = candidates[i + 1];
    }
    --count;
    if (best + 1 < count) candidates[best] = rules.merge(symbols[best], symbols[best + 1]);
    if (best > 0) candidates[best - 1] = rules.merge(symbols[best - 1], symbols[best]);
    if (best + 1 == count) candidates[best] = MergeCandidate{};
  }
  symbols.resize(count);
}

template <typename Rules>
void merge_long_word(const Rules& rules, MergeBuffers& buffers) {
  constexpr uint32_t kEnd = UINT32_MAX;
  using Queued = MergeBuffers::Queued;
  std::vector<Symbol>& symbols = buffers.symbols;
  std::vector<MergeBuffers::Link>& links = buffers.links;
  std::vector<Queued>& queue = buffers.queue;
  const auto count = static_cast<uint32_t>(symbols.size());
  const auto candidate = [&](uint32_t left, uint32_t right, Queued& queued) {
    const MergeCandidate merge = rules.merge(symbols[left], symbols[right]);
    if (merge.rank == MergeCandidate::kNoMerge) return false;
    queued = {static_cast<uint64_t>(merge.rank) << 32 | left, symbols[left].length,
              symbols[right].length, merge.id};
    return true;
  };
  const auto push = [&](uint32_t left, uint32_t right) {
    Queued queued{};
    if (left == kEnd || right == kEnd || !candidate(left, right, queued)) return;
    queue.push_back(queued);
    std::push_heap(queue.begin(), queue.end(), std::greater<>());
  };
  queue.clear();
  links.resize(count);
  for (uint32_t i = 0; i < count; ++i) {
    links[i] = {i == 0 ? kEnd : i - 1, i + 1 == count ? kEnd : i + 1};
    Queued queued{};
    if (i + 1 < count && candidate(i, i + 1, queued)) queue.push_back(queued);
  }
  std::make_heap(queue.begin(), queue.end(), std::greater<>());
  while (!queue.empty()) {
    std::pop_heap(queue.begin(), queue.end(), std::greater<>());
    const Queued best = queue.back();
    queue.pop_back();
    const auto left = static_cast<uint32_t>(best.key);
    const uint32_t right = links[left].next;
    // Out of date when either symbol has merged since; a merged right symbol has length 0.
    if (right == kEnd || symbols[left].length != best.left_length ||
        symbols[right].length != best.right_length) {
      continue;
    }
    symbols[left].length += symbols[right].length;
    symbols[left].id = best.id;
    symbols[right].length = 0;
    links[left].next = links[right].next;
    if (links[right].next != kEnd) links[links[right].next].previous = left;
    push(links[left].previous, left);
    push(left, links[left].next);
  }
  symbols.erase(std::remove_if(symbols.begin(), symbols.end(),
                               [](const Symbol& symbol) { return symbol.length == 0; }),
                symbols.end());
}

template <typename Rules>
void merge_word(const Rules& rules, MergeBuffers& buffers) {
  constexpr size_t kShort = 40;
  if (buffers.symbols.size() <= kShort) {
    merge_short_word(rules, buffers);
  } else {
    merge_long_word(rules, buffers);
  }
}

}  // namespace llmrun::tokenizer
