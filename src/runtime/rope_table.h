// The angles of a model's rotary embeddings and the slopes of its heads, computed once when it is
// loaded.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "runtime/spec.h"

namespace llmrun::runtime {

// Radians per position of each pair of a rope; 0: the pair does not rotate. `factors` (may be
// empty) divide the angles. Scaling follows "YaRN: Efficient Context Window Extension" (Peng et
// al., 2023), equations 17 to 20, with the borders rounded to whole pairs.
std::vector<float> rope_frequencies(const Rope& rope, std::span<const float> factors);

// Slope of each head for attention with linear biases (Press et al., 2021).
std::vector<float> alibi_slopes(int64_t n_heads, float max_bias);

// Logarithm of the decay per token of each head of lightning attention (Qin et al., 2024), all
// rates multiplied by `scale`.
std::vector<float> lightning_slopes(int64_t n_heads, float scale);

}  // namespace llmrun::runtime
