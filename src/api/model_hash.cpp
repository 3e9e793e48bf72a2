// Hashes the directory and samples.
#include "api/model_hash.h"

#include <algorithm>

#include "base/error.h"
#include "base/sha256.h"

namespace llmrun {

Result<std::string> model_hash(const gguf::File& file) {
  constexpr size_t kSampleBytes = 256;
  Sha256 hash;
  uint64_t directory_bytes = 0;
  if (!file.mappings().empty()) {
    const auto all = file.mappings()[0].bytes();
    directory_bytes = all.size();
    for (const gguf::TensorInfo& tensor : file.tensors()) {
      if (tensor.part == 0) directory_bytes = std::min(directory_bytes, tensor.offset);
    }
    hash.update(all.first(directory_bytes));
  }
  const uint64_t size = file.size_bytes();
  hash.update(std::as_bytes(std::span(&size, 1)));
  for (const gguf::TensorInfo& tensor : file.tensors()) {
    const auto bytes = tensor.data();
    const size_t n = std::min(kSampleBytes, bytes.size());
    hash.update(bytes.subspan((bytes.size() - n) / 2, n));
  }
  LLMRUN_ASSIGN(const std::string hex, hash.finish());
  return "sampled-sha256:" + hex;
}

Result<std::string> model_hash(const ModelImpl& model) {
  LLMRUN_ASSIGN(std::string all, model_hash(model.file));
  for (size_t i = 0; i < model.adapters.size(); ++i) {
    LLMRUN_ASSIGN(const std::string one, model_hash(model.adapters[i]));
    all += fmt::format("+{}*{}", one.substr(one.find(':') + 1), model.adapter_options[i].scale);
  }
  return all;
}

}  // namespace llmrun
