// One tensor's way from the mapped file to the output: rows are decoded, packed and compared with
// what they were, by all threads, a few megabytes at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "base/thread_pool.h"
#include "gguf/writer.h"
#include "llmrun/error.h"
#include "quantize/plan.h"

namespace llmrun::quantize {

// What quantising a tensor cost.
struct TensorError {
  double squared_error = 0;
  double squared_norm = 0;
  double weighted_error = 0;  // with an importance: each square times its column's weight
  double weighted_norm = 0;

  // Root of the squared error relative to that of the values.
  [[nodiscard]] double relative() const;
  [[nodiscard]] double weighted_relative() const;
};

// Called with the share of the tensor that is done; an error stops the work.
using StreamProgress = std::function<Result<void>(double share)>;

// A tensor that keeps its type is passed on as it is.
Result<TensorError> stream_tensor(const PlannedTensor& tensor, ThreadPool& pool,
                                  const gguf::Writer::Sink& sink, const StreamProgress& progress);

}  // namespace llmrun::quantize
