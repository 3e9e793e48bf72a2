// All that a test allocates is memory that a card reaches too, so the tests of ops can hand their
// vectors to kernels. One managed range, in blocks of powers of two that are used again; plain
// memory until the first test asks for the range, and where there is no card (the tests then skip).
#include <cuda_runtime_api.h>

#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <new>

#include "cuda_card/managed_new.h"

namespace {

constexpr size_t kRange = size_t{8} << 30;
constexpr int kClasses = 40;

struct FreeBlock {
  FreeBlock* next;
};

class ManagedHeap {
 public:
  void* allocate(size_t bytes) {
    const std::lock_guard lock(mutex_);
    const int size_class = class_of(bytes);
    const size_t taken = size_t{1} << size_class;
    if (base_ == nullptr) return nullptr;
    if (free_[size_class] != nullptr) {
      FreeBlock* const block = free_[size_class];
      free_[size_class] = block->next;
      return block;
    }
    if (used_ + taken > kRange) return nullptr;
    void* const block = base_ + used_;
    used_ += taken;
    return block;
  }
  // False: not from here.
  bool release(void* memory, size_t bytes) {
    const auto* const at = static_cast<char*>(memory);
    if (base_ == nullptr || at < base_ || at >= base_ + kRange) return false;
    const std::lock_guard lock(mutex_);
    auto* const block = static_cast<FreeBlock*>(memory);
    block->next = free_[class_of(bytes)];
    free_[class_of(bytes)] = block;
    return true;
  }

  // Not by the first allocation: that comes before main(), and from within CUDA's own start.
  void open() {
    if (base_ != nullptr) return;
    void* memory = nullptr;
    if (cudaMallocManaged(&memory, kRange) != cudaSuccess) return;
    const std::lock_guard lock(mutex_);
    base_ = static_cast<char*>(memory);
  }

 private:
  static int class_of(size_t bytes) {
    int size_class = 6;
    while ((size_t{1} << size_class) < bytes && size_class < kClasses - 1) ++size_class;
    return size_class;
  }

  std::mutex mutex_;
  char* base_ = nullptr;
  size_t used_ = 0;
  FreeBlock* free_[kClasses] = {};
};

ManagedHeap heap;  // constant-initialised: ready before any constructor runs

// Each allocation begins with its size, in 64 bytes that keep the alignment.
constexpr size_t kHeader = 64;

}  // namespace

void llmrun::kernels::allocate_managed_memory() { heap.open(); }

void* operator new(size_t bytes) {
  void* memory = heap.allocate(bytes + kHeader);
  if (memory == nullptr) memory = std::malloc(bytes + kHeader);
  if (memory == nullptr) throw std::bad_alloc();
  *static_cast<size_t*>(memory) = bytes + kHeader;
  return static_cast<char*>(memory) + kHeader;
}
void operator delete(void* memory) noexcept {
  if (memory == nullptr) return;
  void* const start = static_cast<char*>(memory) - kHeader;
  if (!heap.release(start, *static_cast<size_t*>(start))) std::free(start);
}
void operator delete(void* memory, size_t) noexcept { operator delete(memory); }
