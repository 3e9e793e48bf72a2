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

// The smallest key first. Keys come mostly in a few ascending sequences (one for each kind of pair
// that a repetitive word has), so a key goes behind one of a few sorted runs where it can, and
// into a heap where it cannot: O(1) for the runs, O(log n) for the heap.
class MergeQueue {
 public:
  void clear() {
    for (Run& run : runs_) {
      run.keys.clear();
      run.head = 0;
    }
    heap_.clear();
  }

  void push(uint64_t key) {
    Run* best = nullptr;
    for (Run& run : runs_) {
      if (run.head == run.keys.size()) {
        if (best == nullptr) best = &run;
      } else if (run.keys.back() <= key && (best == nullptr || best->head == best->keys.size() ||
                                            best->keys.back() < run.keys.back())) {
        best = &run;
      }
    }
    if (best == nullptr) {
      heap_.push_back(key);
      std::push_heap(heap_.begin(), heap_.end(), std::greater<>());
      return;
    }
    if (best->head == best->keys.size()) {
      best->keys.clear();
      best->head = 0;
    }
    best->keys.push_back(key);
  }

  // False when the queue is empty.
  bool pop(uint64_t& key) {
    Run* best = nullptr;
    for (Run& run : runs_) {
      if (run.head < run.keys.size() &&
          (best == nullptr || run.keys[run.head] < best->keys[best->head])) {
        best = &run;
      }
    }
    if (!heap_.empty() && (best == nullptr || heap_.front() < best->keys[best->head])) {
      key = heap_.front();
      std::pop_heap(heap_.begin(), heap_.end(), std::greater<>());
      heap_.pop_back();
      return true;
    }
    if (best == nullptr) return false;
    key = best->keys[best->head++];
    return true;
  }

 private:
  struct Run {
    std::vector<uint64_t> keys;
    size_t head = 0;
  };
  Run runs_[6];
  std::vector<uint64_t> heap_;
};

// Buffers that are kept from word to word.
struct MergeBuffers {
  struct Link {
    uint32_t previous;
    uint32_t next;
  };
  std::vector<Symbol> symbols;             // in: the word; out: the merged symbols
  std::vector<MergeCandidate> candidates;  // of each symbol with the next one
  std::vector<Link> links;
  MergeQueue queue;
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
  std::vector<Symbol>& symbols = buffers.symbols;
  std::vector<MergeCandidate>& candidates = buffers.candidates;
  std::vector<MergeBuffers::Link>& links = buffers.links;
  const auto count = static_cast<uint32_t>(symbols.size());
  buffers.queue.clear();
  candidates.assign(count, MergeCandidate{});
  links.resize(count);
  const auto consider = [&](uint32_t left, uint32_t right) {
    candidates[left] =
        right == kEnd ? MergeCandidate{} : rules.merge(symbols[left], symbols[right]);
    if (candidates[left].rank == MergeCandidate::kNoMerge) return;
    buffers.queue.push(static_cast<uint64_t>(candidates[left].rank) << 32 | left);
  };
  for (uint32_t i = 0; i < count; ++i) {
    links[i] = {i == 0 ? kEnd : i - 1, i + 1 == count ? kEnd : i + 1};
    consider(i, links[i].next);
  }
  for (uint64_t key = 0; buffers.queue.pop(key);) {
    const auto left = static_cast<uint32_t>(key);
    // Out of date when the symbol has merged since, or its right neighbour has.
    if (candidates[left].rank != key >> 32) continue;
    const uint32_t right = links[left].next;
    symbols[left].length += symbols[right].length;
    symbols[left].id = candidates[left].id;
    symbols[right].length = 0;
    candidates[right] = MergeCandidate{};
    links[left].next = links[right].next;
    if (links[right].next != kEnd) links[links[right].next].previous = left;
    if (links[left].previous != kEnd) consider(links[left].previous, left);
    consider(left, links[left].next);
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
