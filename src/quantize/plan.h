// Decides the type of every tensor before anything is written.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "gguf/reader.h"
#include "kernels/tensor_type.h"
#include "llmrun/error.h"
#include "quantize/importance.h"
#include "quantize/mix.h"

namespace llmrun::quantize {

struct TypeOverride {
  std::string pattern;  // ECMAScript regular expression, found anywhere in the tensor's name
  TensorType type;
};

struct PlanRequest {
  const Mix* mix = nullptr;
  bool keep_output_f16 = false;
  std::vector<TypeOverride> overrides;     // the first that matches wins, over the mix
  const Importance* importance = nullptr;  // null: none
};

struct PlannedTensor {
  const gguf::TensorInfo* source = nullptr;
  TensorType from = TensorType::F32;
  TensorType to = TensorType::F32;
  uint64_t bytes = 0;  // in the output
  const ImportanceEntry* importance = nullptr;
  std::string note;  // why it is not what the mix says
};

// In the order of the file.
Result<std::vector<PlannedTensor>> plan_types(const gguf::File& file, const PlanRequest& request);

}  // namespace llmrun::quantize
