// What one forward pass works on: chunks of any number of sequences, prompts and decodes mixed.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/draw.h"
#include "llmrun/message.h"

namespace llmrun::runtime {

using SequenceId = int32_t;

enum class WantedLogits : uint8_t { kNone, kLast, kAll };

// The part of a row of logits that is looked at: the n best tokens, and others by name. n 0: all.
struct BestTokens {
  size_t n = 0;
  std::span<const TokenId> named = {};
};

// The next tokens of one sequence; they follow what its cache holds.
struct Chunk {
  SequenceId sequence = 0;
  std::span<const TokenId> tokens;
  WantedLogits logits = WantedLogits::kLast;
  BestTokens best = {};  // with kLast: whoever asks for less than all may get all or more than that
  // Of options: whoever asks for less than all and has its token drawn so may get that alone.
  kernels::RowDraw draw = {};
};

// A text to embed. Of a pair (rerankers) the tokens from second_text on are of the second text.
struct EmbedInput {
  std::span<const TokenId> tokens;
  int64_t second_text = INT64_MAX;
};

struct Batch {
  std::vector<Chunk> chunks;
  [[nodiscard]] int64_t n_tokens() const {
    int64_t n = 0;
    for (const Chunk& chunk : chunks) n += static_cast<int64_t>(chunk.tokens.size());
    return n;
  }
};

// Rows of float32 logits in the order of the chunks, valid until the next forward pass.
struct Logits {
  const float* data = nullptr;
  int64_t n_rows = 0;
  int64_t n_vocab = 0;
  // Set: a row is not the whole vocabulary but n_ids of its tokens, some perhaps twice.
  const TokenId* ids = nullptr;
  int64_t n_ids = 0;
  bool drawn = false;  // that token alone which was drawn, as kernels::DrawParams says
  [[nodiscard]] std::span<const float> row(int64_t i) const {
    const int64_t n = ids == nullptr ? n_vocab : n_ids;
    return {data + i * n, static_cast<size_t>(n)};
  }
  // The tokens of a row; none: the whole vocabulary.
  [[nodiscard]] std::span<const TokenId> row_ids(int64_t i) const {
    return {ids == nullptr ? nullptr : ids + i * n_ids, static_cast<size_t>(n_ids)};
  }
};

// Rows of float32 in the order of the inputs, valid until the next pass.
struct Embeddings {
  const float* data = nullptr;
  int64_t n_rows = 0;
  int64_t width = 0;
  [[nodiscard]] std::span<const float> row(int64_t i) const {
    return {data + i * width, static_cast<size_t>(width)};
  }
};

}  // namespace llmrun::runtime
