// The part of a tensor of the file that a model binds: some of its rows, or some values of every
// row, of each of its matrices. Where that does not lie side by side it has to be copied.
#pragma once

#include <cstddef>
#include <cstdint>

#include "gguf/reader.h"
#include "kernels/ops.h"
#include "llmrun/error.h"
#include "runtime/spec.h"

namespace llmrun::runtime {

struct WeightCut {
  const std::byte* data = nullptr;  // the first wanted byte
  size_t row_bytes = 0;             // of a row, what is wanted
  size_t row_step = 0;              // from row to row in the file
  size_t matrix_step = 0;           // from matrix to matrix
  int64_t n_rows = 0;               // of one matrix, as many as are wanted
  int64_t n_matrices = 1;

  [[nodiscard]] bool contiguous() const;
  [[nodiscard]] size_t bytes() const {
    return static_cast<size_t>(n_rows * n_matrices) * row_bytes;
  }
  void copy_to(std::byte* to) const;
};

// As it lies somewhere.
inline size_t bytes_of(const kernels::Weight& weight) {
  return static_cast<size_t>(weight.n_matrices * weight.n_out) * weight.row_bytes;
}

// Of a matrix, or a stack of them, whose shape is that of the declaration; `type` is the tensor's.
// A cut within a block of values is an error.
Result<WeightCut> cut_of(const gguf::TensorInfo& found, const TensorDecl& wanted,
                         quant::TensorType type);

}  // namespace llmrun::runtime
