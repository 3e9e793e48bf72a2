// Opens GGUF files (version 2 and 3, little-endian, one file or several parts) and gives a
// directory of their metadata and tensors. The bytes stay in the mapped file; every size, offset
// and name was checked by the time open() returns, so users of the directory need not.
// Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/keyed_hash.h"
#include "base/mapped_file.h"
#include "gguf/limits.h"
#include "gguf/metadata.h"
#include "llmrun/error.h"

namespace llmrun::gguf {

struct TensorInfo {
  std::string_view name;
  uint32_t type = 0;  // id as in the file; gguf/type_sizes.h or kernels/quant/ say what it is
  uint32_t n_dims = 0;
  // As the format has it: dims[0] is the row length (contiguous), the rest rows; 1 when unused.
  std::array<uint64_t, kMaxDimensions> dims = {1, 1, 1, 1};
  uint64_t n_elements = 0;
  uint32_t part = 0;    // which file
  uint64_t offset = 0;  // of the data in that file
  uint64_t size_bytes = 0;
  std::span<const std::byte> bytes;  // size_bytes of them

  [[nodiscard]] std::span<const std::byte> data() const { return bytes; }
};

struct OpenOptions {
  bool find_parts = true;  // opening any part of a split model opens all of it
};

// How many bytes from the front of a file hold its metadata and its list of tensors, for one that
// is read over the network piece by piece: nothing when `first_bytes` end before they do. What is
// malformed is an error as soon as it is seen.
Result<std::optional<uint64_t>> find_directory_end(std::span<const std::byte> first_bytes,
                                                   uint64_t file_size);

class File {
 public:
  static Result<File> open(const std::string& path, const OpenOptions& options);
  static Result<File> open(const std::string& path) { return open(path, OpenOptions()); }
  // A single file in memory that the caller keeps alive and that is 8-byte aligned or better.
  static Result<File> from_bytes(std::span<const std::byte> bytes);

  File(File&&) = default;
  File& operator=(File&&) = default;

  [[nodiscard]] uint32_t version() const { return version_; }
  [[nodiscard]] uint64_t alignment() const { return alignment_; }  // of tensor data, bytes
  // Of the first part; views in it live as long as this object, also when it is moved.
  [[nodiscard]] const Metadata& metadata() const { return metadata_; }
  // In the order of the file(s).
  [[nodiscard]] std::span<const TensorInfo> tensors() const { return tensors_; }
  [[nodiscard]] const TensorInfo* find_tensor(std::string_view name) const;
  // kNotFound, naming the tensor.
  [[nodiscard]] Result<const TensorInfo*> tensor(std::string_view name) const;

  // The path it was opened by; empty for from_bytes.
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] size_t n_parts() const { return n_parts_; }
  [[nodiscard]] uint64_t size_bytes() const { return size_bytes_; }  // of all parts
  // Of all tensors, without padding.
  [[nodiscard]] uint64_t tensor_bytes() const { return tensor_bytes_; }
  [[nodiscard]] uint64_t n_elements() const { return n_elements_; }  // of all tensors
  [[nodiscard]] std::span<const MappedFile> mappings() const { return mappings_; }

 private:
  File() = default;
  Result<void> open_parts(const std::string& path, const OpenOptions& options);
  Result<void> add_part(std::span<const std::byte> bytes, uint32_t number, uint32_t count);
  [[nodiscard]] Result<void> check_single(const OpenOptions& options) const;

  std::string path_;
  std::vector<MappedFile> mappings_;  // empty for from_bytes
  uint32_t version_ = 0;
  uint64_t alignment_ = kDefaultAlignment;
  Metadata metadata_;
  std::vector<TensorInfo> tensors_;
  std::unordered_map<std::string_view, size_t, KeyedHash> index_;  // name -> place in tensors_
  size_t n_parts_ = 1;
  uint64_t size_bytes_ = 0;
  uint64_t tensor_bytes_ = 0;
  uint64_t n_elements_ = 0;
};

}  // namespace llmrun::gguf
