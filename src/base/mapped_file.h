// A file mapped read-only into memory; unmapped when the object goes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "llmrun/error.h"

namespace llmrun {

class MappedFile {
 public:
  enum class Advice : uint8_t { kSequential, kDontNeed };

  // kNotFound when there is no such file, kIo when it cannot be read or is no regular file.
  static Result<MappedFile> open(const std::string& path);

  MappedFile() = default;
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  // Stays where it is when the object is moved. A file that another program shortens while it is
  // mapped raises SIGBUS on access: nothing in user space can prevent that.
  [[nodiscard]] std::span<const std::byte> bytes() const { return {data_, size_}; }
  [[nodiscard]] const std::string& path() const { return path_; }

  // A hint to the kernel about a range of the file (cut to the file); never an error.
  void advise(Advice advice, uint64_t offset, uint64_t n_bytes) const;
  void advise(Advice advice) const { advise(advice, 0, size_); }

 private:
  void reset();

  const std::byte* data_ = nullptr;  // page aligned; null when the file is empty
  size_t size_ = 0;
  std::string path_;
};

}  // namespace llmrun
