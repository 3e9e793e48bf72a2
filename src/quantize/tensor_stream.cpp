// Tasks are groups of whole rows; their sums are added in order, so that the report does not
// depend on the number of threads.
#include "quantize/tensor_stream.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/error.h"

namespace llmrun::quantize {
namespace {

constexpr int64_t kTaskValues = int64_t{1} << 15;
constexpr int64_t kTasksPerChunk = 64;  // values of a chunk: 8 MB as floats
constexpr size_t kCopyBytes = size_t{8} << 20;

double ratio(double error, double norm) {
  if (norm > 0.0) return std::sqrt(error / norm);
  return error > 0.0 ? HUGE_VAL : 0.0;
}

enum class Trouble : uint8_t { kNone, kInputNotFinite, kOutputNotFinite };

struct TaskResult {
  TensorError error;
  Trouble trouble = Trouble::kNone;
};

bool all_finite(const std::vector<float>& values) {
  return std::all_of(values.begin(), values.end(), [](float x) { return std::isfinite(x); });
}

TensorError compare(const float* values, const float* decoded, const float* weights, int64_t n) {
  TensorError sums;
  for (int64_t i = 0; i < n; ++i) {
    const double value = static_cast<double>(values[i]);
    const double difference = value - static_cast<double>(decoded[i]);
    const double weight = weights == nullptr ? 1.0 : static_cast<double>(weights[i]);
    sums.squared_error += difference * difference;
    sums.squared_norm += value * value;
    sums.weighted_error += weight * difference * difference;
    sums.weighted_norm += weight * value * value;
  }
  return sums;
}

class Stream {
 public:
  Stream(const PlannedTensor& tensor, ThreadPool& pool)
      : tensor_(tensor),
        pool_(pool),
        width_(static_cast<int64_t>(tensor.source->dims[0])),
        n_rows_(static_cast<int64_t>(tensor.source->n_elements / tensor.source->dims[0])),
        rows_per_task_(std::max<int64_t>(1, kTaskValues / width_)),
        buffers_(static_cast<size_t>(pool.n_threads())) {
    const int64_t n_matrices = tensor.importance == nullptr ? 0 : tensor.importance->n_matrices;
    for (int64_t m = 0; m < n_matrices; ++m) {
      weights_.push_back(tensor.importance->weights(m));
    }
  }

  Result<TensorError> run(const gguf::Writer::Sink& sink, const StreamProgress& progress) {
    LLMRUN_ASSIGN(in_row_, quant::row_bytes(tensor_.from, width_));
    LLMRUN_ASSIGN(out_row_, quant::row_bytes(tensor_.to, width_));
    const int64_t per_chunk = rows_per_task_ * kTasksPerChunk;
    for (int64_t first = 0; first < n_rows_; first += per_chunk) {
      const int64_t n = std::min(per_chunk, n_rows_ - first);
      LLMRUN_TRY(pack_chunk(first, n));
      LLMRUN_TRY(sink(output_));
      LLMRUN_TRY(progress(static_cast<double>(first + n) / static_cast<double>(n_rows_)));
    }
    return total_;
  }

 private:
  struct Buffers {
    std::vector<float> values, decoded;
  };

  Result<void> pack_chunk(int64_t first, int64_t n) {
    output_.resize(static_cast<size_t>(n) * out_row_);
    const int64_t n_tasks = (n + rows_per_task_ - 1) / rows_per_task_;
    results_.assign(static_cast<size_t>(n_tasks), {});
    pool_.parallel_for_indexed(n_tasks, [&](int64_t task, int thread) {
      const int64_t start = task * rows_per_task_;
      pack_rows(first + start, std::min(rows_per_task_, n - start),
                output_.data() + static_cast<size_t>(start) * out_row_,
                buffers_[static_cast<size_t>(thread)], results_[static_cast<size_t>(task)]);
    });
    for (const TaskResult& result : results_) LLMRUN_TRY(add(result));
    return {};
  }

  // The weights of the columns of a row; null: all equal.
  [[nodiscard]] const float* weights_of(int64_t row) const {
    if (weights_.empty()) return nullptr;
    const int64_t rows_per_matrix = static_cast<int64_t>(tensor_.source->dims[1]);
    const auto& weights = weights_[static_cast<size_t>(row / rows_per_matrix)];
    return weights.empty() ? nullptr : weights.data();
  }

  void pack_rows(int64_t first, int64_t n, std::byte* out, Buffers& buffers, TaskResult& result) {
    buffers.values.resize(static_cast<size_t>(n * width_));
    buffers.decoded.resize(static_cast<size_t>(n * width_));
    const std::byte* const in = tensor_.source->bytes.data() + static_cast<size_t>(first) * in_row_;
    quant::dequantize_row(tensor_.from, in, n * width_, buffers.values.data());
    if (!all_finite(buffers.values)) {
      result.trouble = Trouble::kInputNotFinite;
      return;
    }
    for (int64_t row = 0; row < n; ++row) {
      const float* const values = buffers.values.data() + row * width_;
      float* const decoded = buffers.decoded.data() + row * width_;
      std::byte* const packed = out + static_cast<size_t>(row) * out_row_;
      const float* const weights = weights_of(first + row);
      quant::quantize_row(tensor_.to, values, width_, packed, weights);
      quant::dequantize_row(tensor_.to, packed, width_, decoded);
      sum(result.error, compare(values, decoded, weights, width_));
    }
    if (!all_finite(buffers.decoded)) result.trouble = Trouble::kOutputNotFinite;
  }

  static void sum(TensorError& total, const TensorError& more) {
    total.squared_error += more.squared_error;
    total.squared_norm += more.squared_norm;
    total.weighted_error += more.weighted_error;
    total.weighted_norm += more.weighted_norm;
  }

  Result<void> add(const TaskResult& result) {
    switch (result.trouble) {
      case Trouble::kNone:
        sum(total_, result.error);
        return {};
      case Trouble::kInputNotFinite:
        return make_error(ErrorCode::kBadModel,
                          "it holds infinities or NaN; 'llmrun doctor' says where, and the model "
                          "has to be fetched or converted again");
      case Trouble::kOutputNotFinite:
        return make_error(ErrorCode::kUsage, "{} cannot hold its values; choose BF16 or F32",
                          quant::traits(tensor_.to).name);
    }
    return {};
  }

  const PlannedTensor& tensor_;
  ThreadPool& pool_;
  int64_t width_;
  int64_t n_rows_;
  int64_t rows_per_task_;
  size_t in_row_ = 0, out_row_ = 0;
  std::vector<std::vector<float>> weights_;  // per matrix
  std::vector<Buffers> buffers_;             // per thread
  std::vector<std::byte> output_;
  std::vector<TaskResult> results_;
  TensorError total_;
};

Result<TensorError> copy_tensor(const PlannedTensor& tensor, const gguf::Writer::Sink& sink,
                                const StreamProgress& progress) {
  const auto bytes = tensor.source->bytes;
  for (size_t first = 0; first < bytes.size(); first += kCopyBytes) {
    LLMRUN_TRY(sink(bytes.subspan(first, std::min(kCopyBytes, bytes.size() - first))));
    LLMRUN_TRY(progress(static_cast<double>(first) / static_cast<double>(bytes.size())));
  }
  return TensorError();
}

}  // namespace

double TensorError::relative() const { return ratio(squared_error, squared_norm); }
double TensorError::weighted_relative() const { return ratio(weighted_error, weighted_norm); }

Result<TensorError> stream_tensor(const PlannedTensor& tensor, ThreadPool& pool,
                                  const gguf::Writer::Sink& sink, const StreamProgress& progress) {
  if (tensor.from == tensor.to || tensor.bytes == 0) return copy_tensor(tensor, sink, progress);
  return Stream(tensor, pool).run(sink, progress);
}

}  // namespace llmrun::quantize
