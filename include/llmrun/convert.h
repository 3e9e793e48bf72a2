// Makes a GGUF file of a Hugging Face folder; the `convert` command.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "llmrun/error.h"
#include "llmrun/export.h"

namespace llmrun {

struct ConvertOptions {
  std::filesystem::path folder;  // with config.json, *.safetensors, tokenizer.json
  std::filesystem::path output;
  std::string type;           // of the matrices: f32, f16, bf16, q8_0; empty: as in the folder
  std::string pre_tokenizer;  // overrides what tokenizer.json says about splitting words
  std::string name;           // general.name; empty: the name of the folder
  int threads = 0;            // 0: all cores
  // Bytes written; false stops the conversion (kInterrupted). May be empty.
  std::function<bool(uint64_t done, uint64_t total)> progress;
};

struct Conversion {
  std::string architecture;
  std::string source_class;  // in config.json: "LlamaForCausalLM"
  std::string tokenizer;     // "gpt2 (qwen2)"
  uint64_t n_tensors = 0;
  uint64_t n_parameters = 0;
  uint64_t source_bytes = 0;
  uint64_t output_bytes = 0;  // of the whole file
  std::map<std::string, uint64_t> bytes_by_type;
  std::vector<std::string> warnings;
  bool runnable = false;  // this build can run the file; otherwise why_not
  std::string why_not;
};

// The output appears complete or not at all; memory stays below 1 GB whatever the model's size.
LLMRUN_API Result<Conversion> convert_model(const ConvertOptions& options);

}  // namespace llmrun
