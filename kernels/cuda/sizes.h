// How much scratch the CUDA ops hold: plain arithmetic, so that a plan for a card needs neither the
// card nor a build with CUDA.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "kernels/cuda/product_forms.h"

namespace llmrun::kernels::cuda {

inline constexpr size_t kAlignment = 256;  // of everything on the device
constexpr size_t aligned(size_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

// Few queries are spread over the card by segments of the context, whose results are merged in
// order. With kMaxSplitRows tokens at a time, so many rounds are made that no more than
// kSplitPartials pairs of a token and a segment are in flight.
inline constexpr int64_t kSegmentKeys = 512;
inline constexpr int64_t kSplitTokens = 8;  // with more tokens a block walks the whole context
inline constexpr int64_t kMaxSplitRows = 128;
inline constexpr int64_t kSplitPartials = 256;

// Floats of scratch of a call whose short sequences have n_tokens together: outputs, and 2 floats
// beside them, of every head; those in flight and those merged so far.
constexpr int64_t attention_scratch_floats(int64_t n_tokens, int64_t n_heads, int64_t v_dim) {
  return n_tokens == 0
             ? 0
             : (kSplitPartials + std::min(n_tokens, kMaxSplitRows)) * n_heads * (v_dim + 2);
}

// int8 values, and for 16 of them a scale and a sum.
constexpr size_t quantized_bytes(int64_t n_rows, int64_t width) {
  const auto n = static_cast<size_t>(n_rows) * static_cast<size_t>(width);
  return aligned(n) + 2 * aligned(n / 16 * sizeof(float));
}

// Pairs of tokens and experts in the order of their experts: two lists of rows and a job of 3
// integers per expert that has any.
constexpr size_t pairs_bytes(int64_t n_pairs) {
  const auto n = static_cast<size_t>(n_pairs);
  return aligned(2 * n * sizeof(int32_t)) + aligned(3 * n * sizeof(int32_t));
}

// Scratch for calls of at most these sizes. The heads of attention are together at most as wide as
// the widest product, and have 16 values or more each.
constexpr size_t scratch_bytes(int64_t max_tokens, int64_t max_width) {
  const int64_t heads = (max_width + 15) / 16;
  const int64_t floats = attention_scratch_floats(max_tokens, heads, 16);
  const int64_t width = (max_width + 31) / 32 * 32;
  const int64_t few = std::min<int64_t>(max_tokens, kDecodeRows);
  const size_t packed = kAnyWarpGroups ? packed_bytes(max_tokens, width) : 0;
  return std::max({quantized_bytes(max_tokens, width) + std::max(pairs_bytes(max_tokens), packed),
                   2 * quantized_bytes(few, width),  // what a gated pair reads, and what it writes
                   quantized_bytes(std::min(max_tokens, kMaxSplitRows), width) +
                       static_cast<size_t>(floats) * sizeof(float)});
}

// The best of a row are found in rounds: of every kSortKeys keys of 8 bytes some are kept, at most
// kMostKept. What one round keeps is what the next one reads, so there are two buffers.
inline constexpr int64_t kSortKeys = 4096;
inline constexpr int64_t kMostKept = 512;
constexpr int64_t kept_keys(int64_t n_keys, int64_t n_best) {
  return (n_keys + kSortKeys - 1) / kSortKeys * n_best;
}
constexpr size_t find_keys_bytes(int64_t n_rows, int64_t width) {
  const int64_t first = kept_keys(width, kMostKept);
  return static_cast<size_t>(n_rows * (first + kept_keys(first, kMostKept))) * sizeof(uint64_t);
}
// And the best themselves, when a token is drawn from them.
constexpr size_t find_best_bytes(int64_t n_rows, int64_t width) {
  return find_keys_bytes(n_rows, width) + static_cast<size_t>(n_rows * kMostKept) * sizeof(int32_t);
}

// A step that repeats is kept as a graph, in this much memory. What one takes of it is an
// assumption on the safe side, by its launches. A pass is one step or many: devices that take
// turns, or meet in main memory, end a step each time.
inline constexpr size_t kGraphsBytes = size_t{32} << 20;
inline constexpr size_t kLeastGraphBytes = size_t{64} << 10;
constexpr size_t graph_bytes(size_t n_launches) {
  return kLeastGraphBytes + n_launches * (size_t{4} << 10);
}
inline constexpr size_t kMostGraphs = kGraphsBytes / kLeastGraphBytes;

inline constexpr size_t kUploadBytes = size_t{8} << 20;  // the ring for arrays of the host

constexpr size_t workspace_bytes(int64_t max_tokens, int64_t max_width) {
  return scratch_bytes(max_tokens, max_width) + kUploadBytes + kGraphsBytes;
}

}  // namespace llmrun::kernels::cuda
