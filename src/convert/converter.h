// A Hugging Face folder becomes a GGUF file.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "kernels/tensor_type.h"
#include "llmrun/error.h"

namespace llmrun::convert {

struct ConvertRequest {
  std::string folder;
  std::string output;
  std::optional<quant::TensorType> type =
      std::nullopt;                // of the matrices; absent: as they are in the folder
  std::string pre_tokenizer = {};  // overrides the splitter's name; empty: found out
  std::string name = {};           // general.name; empty: the name of the folder
  int threads = 1;
  // Bytes written; false stops. May be empty.
  std::function<bool(uint64_t done, uint64_t total)> progress = {};
};

struct ConvertReport {
  std::string architecture;
  std::string source_class;  // of config.json: "LlamaForCausalLM"
  std::string tokenizer;     // "gpt2 (qwen2)"
  uint64_t n_tensors = 0;
  uint64_t n_parameters = 0;
  uint64_t source_bytes = 0;
  uint64_t output_bytes = 0;  // of the tensors
  std::map<std::string, uint64_t> bytes_by_type;
  std::vector<std::string> warnings;
};

// The output appears complete or not at all. kUnsupported for what has no place in GGUF or in this
// program; the error names it.
Result<ConvertReport> convert_folder(const ConvertRequest& request);

}  // namespace llmrun::convert
