// The changes of layout.
#include "convert/rows.h"

#include <algorithm>
#include <memory>
#include <numeric>

namespace llmrun::convert {

int64_t Rows::n_rows() const {
  return std::accumulate(shape.begin(), shape.end() - 1, int64_t{1}, std::multiplies<>());
}

Rows rows_of(const SourceTensor& tensor) {
  Rows rows;
  for (const uint64_t dim : tensor.shape) rows.shape.push_back(static_cast<int64_t>(dim));
  if (rows.shape.empty()) rows.shape.push_back(1);  // a scalar
  const int64_t width = rows.width();
  const int64_t row_bytes = width * tensor.dtype->bits / 8;
  rows.read = [to_float = tensor.dtype->to_float, bytes = tensor.bytes.data(), width, row_bytes](
                  int64_t first, int64_t n, float* out) {
    to_float(bytes + first * row_bytes, n * width, out);
  };
  return rows;
}

Rows reshaped(Rows rows, std::vector<int64_t> shape) {
  Rows result;
  const int64_t old_width = rows.width();
  const int64_t width = shape.back();
  result.shape = std::move(shape);
  if (width == old_width) {
    result.read = std::move(rows.read);
    return result;
  }
  // The old rows that hold the wanted values are read whole; then the wanted part is copied.
  result.read = [read = std::move(rows.read), old_width, width](int64_t first, int64_t n,
                                                                float* out) {
    const int64_t begin = first * width;
    const int64_t end = begin + n * width;
    const int64_t first_old = begin / old_width;
    const int64_t n_old = (end + old_width - 1) / old_width - first_old;
    std::vector<float> values(static_cast<size_t>(n_old * old_width));
    read(first_old, n_old, values.data());
    std::copy_n(values.data() + (begin - first_old * old_width), end - begin, out);
  };
  return result;
}

Rows reordered(Rows rows, std::function<int64_t(int64_t)> source) {
  Rows result;
  result.shape = rows.shape;
  result.read = [read = std::move(rows.read), source = std::move(source), width = rows.width()](
                    int64_t first, int64_t n, float* out) {
    for (int64_t i = 0; i < n; ++i) read(source(first + i), 1, out + i * width);
  };
  return result;
}

Rows part_of(Rows rows, int64_t first, int64_t n) {
  Rows result;
  result.shape = {n, rows.width()};
  result.read = [read = std::move(rows.read), begin = first](
                    int64_t at, int64_t count, float* out) { read(begin + at, count, out); };
  return result;
}

Rows joined(std::vector<Rows> parts) {
  Rows result;
  const int64_t width = parts.front().width();
  std::vector<int64_t> ends;  // rows up to the end of each part
  int64_t n_rows = 0;
  ends.reserve(parts.size());
  for (const Rows& part : parts) ends.push_back(n_rows += part.n_rows());
  result.shape = {n_rows, width};
  result.read = [parts = std::move(parts), ends = std::move(ends), width](int64_t first, int64_t n,
                                                                          float* out) {
    while (n > 0) {
      const auto at =
          static_cast<size_t>(std::upper_bound(ends.begin(), ends.end(), first) - ends.begin());
      const int64_t begin = at == 0 ? 0 : ends[at - 1];
      const int64_t count = std::min(n, ends[at] - first);
      parts[at].read(first - begin, count, out);
      first += count;
      n -= count;
      out += count * width;
    }
  };
  return result;
}

Rows stacked(std::vector<Rows> matrices) {
  std::vector<int64_t> shape{static_cast<int64_t>(matrices.size())};
  shape.insert(shape.end(), matrices.front().shape.begin(), matrices.front().shape.end());
  return reshaped(joined(std::move(matrices)), std::move(shape));
}

Rows transposed(Rows rows) {
  Rows result;
  result.shape = rows.shape;
  const size_t rank = rows.shape.size();
  std::swap(result.shape[rank - 1], result.shape[rank - 2]);
  const int64_t n_in = result.width();      // rows of one matrix before
  const int64_t n_out = rows.shape.back();  // and after
  result.read = [read = std::move(rows.read), n_in, n_out](int64_t first, int64_t n, float* out) {
    std::vector<float> line(static_cast<size_t>(n_out));
    while (n > 0) {
      const int64_t matrix = first / n_out;
      const int64_t column = first % n_out;
      const int64_t count = std::min(n, n_out - column);
      for (int64_t i = 0; i < n_in; ++i) {
        read(matrix * n_in + i, 1, line.data());
        for (int64_t c = 0; c < count; ++c)
          out[c * n_in + i] = line[static_cast<size_t>(column + c)];
      }
      first += count;
      n -= count;
      out += count * n_in;
    }
  };
  return result;
}

Rows shifted(Rows rows, float addend) {
  Rows result;
  result.shape = rows.shape;
  result.read = [read = std::move(rows.read), addend, width = rows.width()](int64_t first,
                                                                            int64_t n, float* out) {
    read(first, n, out);
    for (int64_t i = 0; i < n * width; ++i) out[i] += addend;
  };
  return result;
}

Rows scaled(Rows rows, std::function<float(int64_t row, int64_t column)> scale) {
  Rows result;
  result.shape = rows.shape;
  result.read = [read = std::move(rows.read), scale = std::move(scale), width = rows.width()](
                    int64_t first, int64_t n, float* out) {
    read(first, n, out);
    for (int64_t row = 0; row < n; ++row) {
      for (int64_t c = 0; c < width; ++c) out[row * width + c] *= scale(first + row, c);
    }
  };
  return result;
}

Rows vector_of(std::vector<float> values) {
  Rows rows;
  rows.shape = {static_cast<int64_t>(values.size())};
  const auto shared = std::make_shared<const std::vector<float>>(std::move(values));
  rows.read = [shared](int64_t, int64_t, float* out) {
    std::copy(shared->begin(), shared->end(), out);
  };
  return rows;
}

}  // namespace llmrun::convert
