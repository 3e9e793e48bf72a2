// Writes a GGUF file whose tensors have the planned types.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "gguf/reader.h"
#include "llmrun/error.h"
#include "quantize/plan.h"
#include "quantize/tensor_stream.h"

namespace llmrun::quantize {

struct FileRequest {
  std::string output;
  std::vector<PlannedTensor> tensors;
  const Mix* mix = nullptr;
  const Importance* importance = nullptr;  // null: none
  std::string importance_path;
  int threads = 1;
  // Bytes of the input done, of all; an error stops the work and leaves no output.
  std::function<Result<void>(uint64_t done, uint64_t total)> progress;
};

// What each tensor lost, in the order of request.tensors. The output appears complete or not at
// all.
Result<std::vector<TensorError>> write_quantized(const gguf::File& file,
                                                 const FileRequest& request);

}  // namespace llmrun::quantize
