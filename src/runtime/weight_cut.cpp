// Where a cut begins and how far its rows are apart.
#include "runtime/weight_cut.h"

#include <cstring>

#include "base/error.h"

namespace llmrun::runtime {
namespace {

int64_t dim(const TensorDecl& tensor, size_t i) {
  return i < tensor.shape.size() ? tensor.shape[i] : 1;
}

}  // namespace

bool WeightCut::contiguous() const {
  const bool rows = row_bytes == row_step || n_rows * n_matrices <= 1;
  return rows && (n_matrices == 1 || matrix_step == static_cast<size_t>(n_rows) * row_step);
}

void WeightCut::copy_to(std::byte* to) const {
  for (int64_t matrix = 0; matrix < n_matrices; ++matrix) {
    const std::byte* from = data + static_cast<size_t>(matrix) * matrix_step;
    for (int64_t row = 0; row < n_rows; ++row, from += row_step, to += row_bytes) {
      std::memcpy(to, from, row_bytes);
    }
  }
}

Result<WeightCut> cut_of(const gguf::TensorInfo& found, const TensorDecl& wanted,
                         quant::TensorType type) {
  const int64_t n_values = wanted.n_values > 0 ? wanted.n_values : dim(wanted, 0);
  WeightCut cut;
  cut.n_matrices = dim(wanted, 2);
  cut.n_rows = wanted.count > 0 ? wanted.count : dim(wanted, 1);
  LLMRUN_ASSIGN(cut.row_bytes, quant::row_bytes(type, n_values));
  LLMRUN_ASSIGN(cut.row_step, quant::row_bytes(type, dim(wanted, 0)));
  LLMRUN_ASSIGN(const size_t skipped, quant::row_bytes(type, wanted.first_value));
  cut.matrix_step = static_cast<size_t>(dim(wanted, 1)) * cut.row_step;
  cut.data = found.bytes.data() + static_cast<size_t>(wanted.first) * cut.row_step + skipped;
  return cut;
}

}  // namespace llmrun::runtime
