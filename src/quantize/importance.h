// How much the inputs of each matrix matter: the mean squared activation of every input channel,
// gathered from a text, in the GGUF layout that other programs read and write too. For a tensor
// NAME the file has NAME.in_sum2 [n_in, n_matrices], the sums of squares, and NAME.counts
// [1, n_matrices], over how many rows each sum went (experts see different numbers of rows).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "llmrun/error.h"

namespace llmrun::quantize {

struct ImportanceEntry {
  int64_t n_in = 0;
  int64_t n_matrices = 1;
  std::vector<float> sums;    // [n_matrices, n_in]
  std::vector<float> counts;  // [n_matrices]

  // Weights of the inputs of one matrix, of mean 1: how much the squared error of each column
  // counts. Channels that the text hardly used keep a small weight. Empty: nothing is known.
  [[nodiscard]] std::vector<float> weights(int64_t matrix) const;
};

struct Importance {
  std::map<std::string, ImportanceEntry, std::less<>> entries;  // by tensor
  std::vector<std::string> datasets;
  uint32_t n_chunks = 0;
  uint32_t chunk_tokens = 0;
};

Result<Importance> read_importance(const std::string& path);
Result<void> write_importance(const Importance& importance, const std::string& path);

}  // namespace llmrun::quantize
