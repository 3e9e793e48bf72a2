// Values that no training leaves behind. Every tensor is decoded; of matrices the spread of each
// block is held against the sizes of its row and of its column of blocks, because
// rows and columns differ by nature, and a damaged scale makes one block stand out of both.
#include <algorithm>
#include <bit>
#include <cmath>

#include "api/check_tensors.h"
#include "base/error.h"
#include "kernels/tensor_type.h"

namespace llmrun::checkup {
namespace {

constexpr int64_t kLeastBlock = 32;
constexpr int64_t kTaskValues = int64_t{1} << 16;
// Sizes are powers of two. In sound models no block lies further than about 3 from what its row
// and column let expect; flips of the upper exponent bits of a scale move it by 4, 8 or 16.
constexpr float kOddSize = 5.0F;
// A single value against the root mean square of its tensor: the largest weights known in sound
// models ("super weights") reach some thousands.
constexpr double kOddValue = 30000.0;
constexpr float kNoSize = -1000.0F;    // of a block of zeros, or one that tells nothing
constexpr float kDominated = 1024.0F;  // variance with the largest value over that without it
constexpr size_t kMaxNamed = 3;        // tensors named in a finding

// log2 of a positive number, to a tenth: the exponent, and the mantissa as a straight line.
float rough_log2(float x) {
  const auto bits = std::bit_cast<uint32_t>(x);
  return static_cast<float>(bits) * 0x1p-23F - 127.0F;
}

struct TaskSums {
  double squares = 0;
  float largest = 0;
  uint64_t n_not_finite = 0;
};

// How far the values of a block lie from their mean, log2, without the largest value: one heavy
// weight is no damage. (The mean, because types with an offset keep it when their scale is lost.)
// A block that one weight dominates tells nothing: the others may all have become one level.
float size_of(const float* x, int64_t n, TaskSums& sums) {
  float total[4] = {};
  float squares[4] = {};
  float highest = x[0];
  float lowest = x[0];
  for (int64_t i = 0; i < n; i += 4) {
    for (int64_t l = 0; l < 4; ++l) {
      const float value = x[i + l];
      total[l] += value;
      squares[l] += value * value;
      highest = value > highest ? value : highest;
      lowest = value < lowest ? value : lowest;
    }
  }
  const float all = (squares[0] + squares[1]) + (squares[2] + squares[3]);
  if (!(all - all == 0.0F)) {  // infinite or NaN, or beyond what squares can tell
    for (int64_t i = 0; i < n; ++i) sums.n_not_finite += std::isfinite(x[i]) ? 0 : 1;
    sums.largest = HUGE_VALF;
    return kNoSize;
  }
  const float largest = highest > -lowest ? highest : lowest;
  sums.squares += static_cast<double>(all);
  sums.largest = std::max(sums.largest, std::abs(largest));
  const auto n_all = static_cast<float>(n);
  const auto n_others = static_cast<float>(n - 1);
  const float sum = (total[0] + total[1]) + (total[2] + total[3]);
  const float rest = sum - largest;
  const float spread = (all - sum * sum / n_all) / n_all;
  const float others = (all - largest * largest - rest * rest / n_others) / n_others;
  const bool dominated = spread > kDominated * others;
  return others > 1e-37F && !dominated ? 0.5F * rough_log2(others) : kNoSize;
}

// What is wrong with a tensor; empty: nothing.
class TensorCheck {
 public:
  TensorCheck(const gguf::TensorInfo& tensor, quant::TensorType type, ThreadPool& pool)
      : tensor_(tensor),
        type_(type),
        pool_(pool),
        width_(static_cast<int64_t>(tensor.dims[0])),
        n_rows_(static_cast<int64_t>(tensor.n_elements / tensor.dims[0])),
        // Where 256 values share the scale that a flip would hit, all of them change.
        block_(std::max(kLeastBlock, quant::traits(type).block_size)),
        n_blocks_(width_ / block_) {}

  std::string run() {
    measure();
    TaskSums whole;
    for (const TaskSums& task : tasks_) {
      whole.squares += task.squares;
      whole.largest = std::max(whole.largest, task.largest);
      whole.n_not_finite += task.n_not_finite;
    }
    if (whole.n_not_finite > 0) {
      return fmt::format("{} values are NaN or infinite", whole.n_not_finite);
    }
    const bool is_weight = tensor_.name.ends_with(".weight");
    if (whole.largest == 0.0F) return is_weight ? "all values are 0" : "";
    const double mean_square =
        (whole.squares - static_cast<double>(whole.largest) * static_cast<double>(whole.largest)) /
        static_cast<double>(tensor_.n_elements);
    if (is_weight && !tensor_.name.starts_with("rope") && n_rows_ * width_ >= kLeastBlock &&
        static_cast<double>(whole.largest) > kOddValue * std::sqrt(std::max(mean_square, 0.0))) {
      return fmt::format("the largest value, {:.3g}, is out of proportion", whole.largest);
    }
    return n_rows_ > 1 && n_blocks_ > 1 ? find_odd_blocks() : "";
  }

 private:
  void measure() {
    const int64_t rows_per_task = std::max<int64_t>(1, kTaskValues / width_);
    const int64_t n_tasks = (n_rows_ + rows_per_task - 1) / rows_per_task;
    const auto row_bytes = tensor_.size_bytes / static_cast<uint64_t>(n_rows_);
    sizes_.resize(static_cast<size_t>(n_rows_ * n_blocks_));
    tasks_.resize(static_cast<size_t>(n_tasks));
    buffers_.resize(static_cast<size_t>(pool_.n_threads()));
    pool_.parallel_for_indexed(n_tasks, [&](int64_t task, int thread) {
      auto& values = buffers_[static_cast<size_t>(thread)];
      const int64_t first = task * rows_per_task;
      const int64_t n = std::min(rows_per_task, n_rows_ - first);
      values.resize(static_cast<size_t>(n * width_));
      quant::dequantize_row(type_, tensor_.bytes.data() + static_cast<uint64_t>(first) * row_bytes,
                            n * width_, values.data());
      for (int64_t row = 0; row < n; ++row) {
        measure_row(values.data() + row * width_, sizes_.data() + (first + row) * n_blocks_,
                    tasks_[static_cast<size_t>(task)]);
      }
    });
  }

  void measure_row(const float* row, float* sizes, TaskSums& sums) const {
    for (int64_t block = 0; block < n_blocks_; ++block) {
      sizes[block] = size_of(row + block * block_, block_, sums);
    }
    for (int64_t i = n_blocks_ * block_; i < width_; ++i) {  // what is left of the row
      if (!std::isfinite(row[i])) ++sums.n_not_finite;
      sums.squares += static_cast<double>(row[i]) * static_cast<double>(row[i]);
      sums.largest = std::max(sums.largest, std::abs(row[i]));
    }
  }

  // Blocks far from the mean of their row plus the mean of their column less the mean of all.
  std::string find_odd_blocks() {
    std::vector<float> row_means(static_cast<size_t>(n_rows_));
    std::vector<float> columns(static_cast<size_t>(n_blocks_));
    std::vector<float> counts(static_cast<size_t>(n_blocks_));
    double sum = 0;
    double count = 0;
    for (int64_t row = 0; row < n_rows_; ++row) {
      float row_sum = 0;
      float row_count = 0;
      for (int64_t block = 0; block < n_blocks_; ++block) {
        const float size = sizes_[static_cast<size_t>(row * n_blocks_ + block)];
        if (size == kNoSize) continue;
        row_sum += size;
        row_count += 1;
        columns[static_cast<size_t>(block)] += size;
        counts[static_cast<size_t>(block)] += 1;
      }
      row_means[static_cast<size_t>(row)] = row_count > 0 ? row_sum / row_count : 0;
      sum += static_cast<double>(row_sum);
      count += static_cast<double>(row_count);
    }
    const auto mean = static_cast<float>(sum / std::max(count, 1.0));
    for (size_t block = 0; block < columns.size(); ++block) {
      columns[block] = (counts[block] > 0 ? columns[block] / counts[block] : mean) - mean;
    }
    return describe_odd(row_means, columns);
  }

  std::string describe_odd(const std::vector<float>& row_means, const std::vector<float>& columns) {
    uint64_t n_odd = 0;
    float worst = 0;
    int64_t worst_row = 0;
    for (int64_t row = 0; row < n_rows_; ++row) {
      for (int64_t block = 0; block < n_blocks_; ++block) {
        const float size = sizes_[static_cast<size_t>(row * n_blocks_ + block)];
        if (size == kNoSize) continue;
        const float odd =
            size - row_means[static_cast<size_t>(row)] - columns[static_cast<size_t>(block)];
        if (std::abs(odd) > std::abs(worst)) {
          worst = odd;
          worst_row = row;
        }
        n_odd += std::abs(odd) > kOddSize ? 1 : 0;
      }
    }
    if (n_odd == 0) return {};
    return fmt::format("{} blocks of {} values are out of proportion, one in row {} by 2^{:.0f}",
                       n_odd, block_, worst_row, worst);
  }

  const gguf::TensorInfo& tensor_;
  quant::TensorType type_;
  ThreadPool& pool_;
  int64_t width_;
  int64_t n_rows_;
  int64_t block_;
  int64_t n_blocks_;
  std::vector<float> sizes_;  // [n_rows, n_blocks], log2
  std::vector<TaskSums> tasks_;
  std::vector<std::vector<float>> buffers_;  // per thread
};

}  // namespace

void check_tensors(const gguf::File& file, ThreadPool& pool, Checkup& checkup) {
  size_t n_bad = 0;
  std::string named;
  for (const gguf::TensorInfo& tensor : file.tensors()) {
    if (tensor.n_elements == 0) continue;
    const auto type = quant::tensor_type_from_gguf_id(tensor.type);
    const std::string trouble =
        type ? TensorCheck(tensor, *type, pool).run() : "its type is unknown to this build";
    if (trouble.empty()) continue;
    if (n_bad++ < kMaxNamed)
      named += fmt::format("{}{}: {}", named.empty() ? "" : "; ", tensor.name, trouble);
  }
  if (n_bad == 0) {
    return good(checkup, "tensors",
                fmt::format("{} tensors hold finite values in proportion", file.tensors().size()));
  }
  if (n_bad > kMaxNamed) named += fmt::format("; and {} more tensors", n_bad - kMaxNamed);
  fault(checkup, "tensors", named);
}

}  // namespace llmrun::checkup
