// mmap and madvise behind an owning object.
#include "base/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/file_io.h"
#include "base/huge_pages.h"

namespace llmrun {

Result<MappedFile> MappedFile::open(const std::string& path) {
  LLMRUN_ASSIGN(const FileDescriptor file, open_regular_file(path));
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) return system_error("cannot read", path);
  MappedFile mapped;
  mapped.path_ = path;
  if (status.st_size == 0) return mapped;  // mmap refuses a length of 0
  const auto size = static_cast<size_t>(status.st_size);
  void* address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (address == MAP_FAILED) return system_error("cannot map into memory", path);
  // Where the file system can, what is not in the page cache yet is then read in huge pages, which
  // stay for the next process too: weights stream from them half as fast again.
  prefer_huge_pages(address, size);
  mapped.data_ = static_cast<const std::byte*>(address);
  mapped.size_ = size;
  return mapped;
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      path_(std::move(other.path_)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  if (this == &other) return *this;
  reset();
  data_ = std::exchange(other.data_, nullptr);
  size_ = std::exchange(other.size_, 0);
  path_ = std::move(other.path_);
  return *this;
}

MappedFile::~MappedFile() { reset(); }

void MappedFile::reset() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
  data_ = nullptr;
  size_ = 0;
}

void MappedFile::advise(Advice advice, uint64_t offset, uint64_t n_bytes) const {
  if (data_ == nullptr || offset >= size_) return;
  const auto page = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  const uint64_t begin = offset / page * page;
  const uint64_t end = offset + std::min<uint64_t>(n_bytes, size_ - offset);
  ::madvise(const_cast<std::byte*>(data_) + begin, end - begin,
            advice == Advice::kSequential ? MADV_SEQUENTIAL : MADV_DONTNEED);
}

}  // namespace llmrun
