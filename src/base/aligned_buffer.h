// Owning memory for kernels: aligned, zeroed, and a Result instead of bad_alloc when it is not
// to be had.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "llmrun/error.h"

namespace llmrun {

class AlignedBuffer {
 public:
  static constexpr size_t kCacheLine = 64;
  static constexpr size_t kPage = 4096;

  // `alignment` is a power of two up to a page. Buffers from 1 MiB on come straight from the
  // kernel: page aligned, untouched pages cost no memory, and freeing gives the memory back.
  static Result<AlignedBuffer> allocate(uint64_t n_bytes, size_t alignment = kCacheLine);

  AlignedBuffer() = default;
  AlignedBuffer(AlignedBuffer&& other) noexcept;
  AlignedBuffer& operator=(AlignedBuffer&& other) noexcept;
  AlignedBuffer(const AlignedBuffer&) = delete;
  AlignedBuffer& operator=(const AlignedBuffer&) = delete;
  ~AlignedBuffer();

  [[nodiscard]] std::byte* data() const { return data_; }
  [[nodiscard]] uint64_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] std::span<std::byte> bytes() const { return {data_, size_}; }

  // The memory as numbers; as many as fit.
  template <typename T>
  [[nodiscard]] std::span<T> as() const {
    return {reinterpret_cast<T*>(data_), size_ / sizeof(T)};
  }

  // Touches every page now, so that later use meets no page fault (and no surprise).
  void commit() const;

 private:
  void reset();

  std::byte* data_ = nullptr;
  uint64_t size_ = 0;
  bool mapped_ = false;  // from mmap, else from aligned_alloc
};

}  // namespace llmrun
