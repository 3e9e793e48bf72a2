// Hands out pieces of one block of memory, one after the other. Without a block it only measures:
// the memory plan and the forward pass run the same layout code, so they cannot disagree.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "kernels/ops.h"

namespace llmrun::runtime {

class Arena {
 public:
  Arena() = default;  // measures
  Arena(std::byte* base, size_t size) : base_(base), size_(size) {}

  template <typename T>
  T* array(int64_t n) {
    const size_t bytes = static_cast<size_t>(n) * sizeof(T);
    const size_t start = used_;
    used_ = start + (bytes + kAlignment - 1) / kAlignment * kAlignment;
    peak_ = std::max(peak_, used_);
    return base_ == nullptr ? nullptr : reinterpret_cast<T*>(base_ + start);
  }
  // [n, width], rows side by side.
  kernels::Rows rows(int64_t n, int64_t width) {
    return {.data = array<float>(n * width), .n = n, .width = width, .stride = width};
  }

  // Goes on in another block, as if everything had been taken from that.
  void move_to(std::byte* base) { base_ = base; }
  [[nodiscard]] const std::byte* base() const { return base_; }

  [[nodiscard]] size_t mark() const { return used_; }
  void release(size_t mark) { used_ = mark; }
  [[nodiscard]] size_t peak() const { return peak_; }
  // False after a layout that asked for more than the block has (our own bug).
  [[nodiscard]] bool fits() const { return base_ == nullptr || peak_ <= size_; }

 private:
  static constexpr size_t kAlignment = 64;  // a cache line, and the widest vector register
  std::byte* base_ = nullptr;
  size_t size_ = 0, used_ = 0, peak_ = 0;
};

// Gives back, at the end of a block, what was taken since its start.
class ArenaScope {
 public:
  explicit ArenaScope(Arena& arena) : arena_(arena), mark_(arena.mark()) {}
  ~ArenaScope() { arena_.release(mark_); }
  ArenaScope(const ArenaScope&) = delete;
  ArenaScope& operator=(const ArenaScope&) = delete;

 private:
  Arena& arena_;
  size_t mark_;
};

}  // namespace llmrun::runtime
