// How much scratch the CUDA ops hold: plain arithmetic, so that a plan for a card needs neither the
// card nor a build with CUDA.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace llmrun::kernels::cuda {

inline constexpr size_t kAlignment = 256;  // of everything on the device
constexpr size_t aligned(size_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

// Few queries are spread over the card by parts of the context, whose results are merged in order:
// at most kRoundSegments parts of kSegmentKeys keys at a time.
inline constexpr int64_t kSegmentKeys = 512;
inline constexpr int64_t kRoundSegments = 32;
inline constexpr int64_t kSplitTokens = 8;  // with more tokens a block walks the whole context

// Floats of scratch of a call with n_tokens: outputs, and 2 floats beside them, of every head.
constexpr int64_t attention_scratch_floats(int64_t n_tokens, int64_t n_heads, int64_t v_dim) {
  return n_tokens > kSplitTokens ? 0 : (kRoundSegments + 1) * n_tokens * n_heads * (v_dim + 2);
}

// int8 values, and for 16 of them a scale and a sum.
constexpr size_t quantized_bytes(int64_t n_rows, int64_t width) {
  const auto n = static_cast<size_t>(n_rows) * static_cast<size_t>(width);
  return aligned(n) + 2 * aligned(n / 16 * sizeof(float));
}

// Scratch for calls of at most these sizes. The heads of attention are together at most as wide as
// the widest product, and have 16 values or more each.
constexpr size_t scratch_bytes(int64_t max_tokens, int64_t max_width) {
  const int64_t heads = (max_width + 15) / 16;
  const int64_t floats = attention_scratch_floats(std::min(max_tokens, kSplitTokens), heads, 16);
  return std::max(quantized_bytes(max_tokens, (max_width + 31) / 32 * 32),
                  static_cast<size_t>(floats) * sizeof(float));
}

inline constexpr size_t kUploadBytes = size_t{8} << 20;  // the ring for arrays of the host

constexpr size_t workspace_bytes(int64_t max_tokens, int64_t max_width) {
  return scratch_bytes(max_tokens, max_width) + kUploadBytes;
}

}  // namespace llmrun::kernels::cuda
