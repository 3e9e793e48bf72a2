// A tensor seen as a matrix of float rows that are computed when they are asked for. Changes of
// layout (permuting, splitting, stacking, transposing) are functions from Rows to Rows, so no
// tensor is ever whole in memory.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "convert/safetensors.h"

namespace llmrun::convert {

struct Rows {
  // Writes rows [first, first + n) one after the other. Called from several threads at once.
  using Read = std::function<void(int64_t first, int64_t n, float* out)>;

  std::vector<int64_t> shape;  // outermost first; the last is the width of a row; never empty
  Read read;

  [[nodiscard]] int64_t width() const { return shape.back(); }
  [[nodiscard]] int64_t n_rows() const;  // product of all dimensions but the last
  [[nodiscard]] int64_t n_elements() const { return n_rows() * width(); }
};

// What a checkpoint's tensor holds. Its dtype must have a to_float, its shape at least one element.
Rows rows_of(const SourceTensor& tensor);

// The same values in the same order under another shape.
Rows reshaped(Rows rows, std::vector<int64_t> shape);

// Row i of the result is row source(i).
Rows reordered(Rows rows, std::function<int64_t(int64_t)> source);

// Rows [first, first + n), as a matrix.
Rows part_of(Rows rows, int64_t first, int64_t n);

// Every row of one after every row of the other; widths are equal. A matrix.
Rows joined(std::vector<Rows> parts);

// Matrices of one shape, under a new outermost dimension.
Rows stacked(std::vector<Rows> matrices);

// The last two dimensions swapped, for every matrix of the outer ones.
Rows transposed(Rows rows);

// Each value plus `addend`.
Rows shifted(Rows rows, float addend);

// Each value times scale(row, column).
Rows scaled(Rows rows, std::function<float(int64_t row, int64_t column)> scale);

// Values that do not come from the checkpoint.
Rows vector_of(std::vector<float> values);

}  // namespace llmrun::convert
