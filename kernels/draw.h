// Tokens drawn from rows of logits where the rows lie: what the sampling chain does with bias,
// penalties, top-k, top-p, min-p and temperature, in its order of operations, so that its tokens
// come out bit for bit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/find_best.h"
#include "kernels/ops.h"
#include "llmrun/sampling_options.h"

namespace llmrun::kernels {

// Of one row. Temperature 0 is greedy; otherwise top_k is from 1 to kMaxBest. Stages that the list
// above does not name are off.
struct RowDraw {
  const SamplingOptions* options = nullptr;
  double uniform = 0.0;  // in [0, 1)
  // The tokens whose logits change, each once, at most kMaxNamed: by a bias, and by the penalties
  // for so many occurrences.
  std::span<const int32_t> named = {};
  std::span<const int32_t> counts = {};
  std::span<const float> biases = {};
  // The best of the row that are looked at.
  [[nodiscard]] int64_t n_best() const {
    const int64_t kept = options->temperature == 0.0F ? 1 : options->top_k;
    return kept + static_cast<int64_t>(named.size());
  }
};

// What is drawn, and its logit after bias and penalties. Or the first token whose logit is then no
// number or +inf, and that; or -1 when all are -inf.
struct DrawParams {
  ConstRows x;  // [n, width]
  std::span<const RowDraw> rows;
  int32_t* tokens = nullptr;     // [n]
  float* logits = nullptr;       // [n]
  std::byte* scratch = nullptr;  // Backend::find_best_bytes()
};

}  // namespace llmrun::kernels
