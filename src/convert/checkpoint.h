// The weights of a Hugging Face folder: one .safetensors file, or the shards that an index names.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/mapped_file.h"
#include "convert/safetensors.h"
#include "llmrun/error.h"

namespace llmrun::convert {

class Checkpoint {
 public:
  // kNotFound when the folder holds no safetensors weights; the error says what was found instead.
  static Result<Checkpoint> open(const std::string& folder);
  // For tests: tensors that live elsewhere.
  static Result<Checkpoint> from_tensors(std::vector<SourceTensor> tensors);

  // In the order of the shards and their bytes.
  [[nodiscard]] const std::vector<SourceTensor>& tensors() const { return tensors_; }
  [[nodiscard]] const SourceTensor* find(std::string_view name) const;
  [[nodiscard]] uint64_t n_bytes() const { return n_bytes_; }
  [[nodiscard]] size_t n_files() const { return files_.size(); }

  // Lets go of the pages of the mapped files that were read so far; they are read again on demand.
  // Keeps a conversion of any size within a small resident set.
  void release_pages() const;

 private:
  Result<void> add_file(const std::string& path);
  Result<void> add_tensors(std::vector<SourceTensor> tensors);

  std::vector<MappedFile> files_;
  std::vector<SourceTensor> tensors_;
  std::unordered_map<std::string, size_t> by_name_;
  uint64_t n_bytes_ = 0;
};

}  // namespace llmrun::convert
