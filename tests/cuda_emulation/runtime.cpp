// Device memory is one reserved range of addresses, so that it can be closed to the host at once;
// an allocation is followed by bytes that AddressSanitizer forbids.
#include "cuda_emulation/runtime.h"

#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <vector>

#include "cuda_emulation/cuda.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

struct EmulatedGraph {
  std::vector<std::function<void()>> nodes;
};
struct EmulatedStream {
  std::vector<std::function<void()>> queue;
  EmulatedGraph* recording = nullptr;
};
// The stream where it was recorded, whose work is all done when the host has waited for it.
struct EmulatedEvent {
  cudaStream_t stream = nullptr;
};

namespace cuda_emulation {
namespace {

constexpr size_t kReserved = size_t{64} << 30;  // addresses, not memory
constexpr size_t kAlignment = 256;
constexpr size_t kFence = 256;

class DeviceMemory {
 public:
  DeviceMemory() {
    void* const memory = mmap(nullptr, kReserved, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    base_ = memory == MAP_FAILED ? nullptr : static_cast<std::byte*>(memory);
  }
  void* allocate(size_t bytes) {
    const size_t taken = (bytes + kAlignment - 1) / kAlignment * kAlignment + kFence;
    if (base_ == nullptr || allocated_ + bytes > options().device_bytes ||
        used_ + taken > kReserved) {
      return nullptr;
    }
    std::byte* const start = base_ + used_;
    used_ += taken;
    allocated_ += bytes;
    sizes_[start] = bytes;
    open();
    std::memset(start, 0xff, bytes);  // NaNs: nothing may rely on what lies there
#ifdef __SANITIZE_ADDRESS__
    __asan_poison_memory_region(start + bytes, taken - bytes);
#endif
    close();
    return start;
  }
  // Addresses are not used again, so what is left of them is found.
  bool release(void* memory) {
    const auto it = sizes_.find(static_cast<std::byte*>(memory));
    if (it == sizes_.end()) return false;
    open();
#ifdef __SANITIZE_ADDRESS__
    __asan_poison_memory_region(memory, it->second);
#endif
    madvise(memory, it->second, MADV_DONTNEED);
    close();
    allocated_ -= it->second;
    sizes_.erase(it);
    return true;
  }
  void open() { protect(PROT_READ | PROT_WRITE); }
  void close() {
    if (options().closed_memory) protect(PROT_NONE);
  }
  [[nodiscard]] size_t allocated() const { return allocated_; }

 private:
  void protect(int protection) {
    if (used_ > 0) mprotect(base_, (used_ + 4095) / 4096 * 4096, protection);
  }
  std::byte* base_ = nullptr;
  size_t used_ = 0, allocated_ = 0;
  std::map<std::byte*, size_t> sizes_;
};

DeviceMemory& memory() {
  static DeviceMemory instance;
  return instance;
}

}  // namespace

void enqueue(cudaStream_t stream, std::function<void()> work) {
  if (stream != nullptr && stream->recording != nullptr) {
    stream->recording->nodes.push_back(std::move(work));
    return;
  }
  if (stream != nullptr && options().deferred) {
    stream->queue.push_back(std::move(work));
    return;
  }
  memory().open();
  work();
  memory().close();
}

size_t allocated_bytes() { return memory().allocated(); }

GraphCounts& graph_counts() {
  static GraphCounts counts;
  return counts;
}

void mma_m16n8k8_tf32(float (&d)[4], const float (&a)[4], const float (&b)[2],
                      const Location& where) {
  struct Frame {
    float* d;
    const float* a;
    const float* b;
  };
  Frame frame{d, a, b};
  meet(~0U, "mma.m16n8k8.tf32", where, &frame, [](void* const* frames, unsigned) {
    const auto cut = [](float x) {
      uint32_t bits = 0;
      std::memcpy(&bits, &x, sizeof(bits));
      bits &= 0xffffe000U;
      std::memcpy(&x, &bits, sizeof(bits));
      return x;
    };
    float left[16][8], right[8][8];
    for (int lane = 0; lane < 32; ++lane) {
      const auto* const f = static_cast<const Frame*>(frames[lane]);
      for (int i = 0; i < 4; ++i) left[lane / 4 + i % 2 * 8][lane % 4 + i / 2 * 4] = cut(f->a[i]);
      for (int i = 0; i < 2; ++i) right[lane / 4][lane % 4 + 4 * i] = cut(f->b[i]);
    }
    for (int lane = 0; lane < 32; ++lane) {
      const auto* const f = static_cast<const Frame*>(frames[lane]);
      for (int i = 0; i < 4; ++i) {
        const int m = lane / 4 + i / 2 * 8;
        const int n = lane % 4 * 2 + i % 2;
        for (int k = 0; k < 8; ++k) f->d[i] += left[m][k] * right[n][k];
      }
    }
  });
}

void mma_m16n8k16_s8(int32_t (&d)[4], const uint32_t (&a)[2], uint32_t b, const Location& where) {
  struct Frame {
    int32_t* d;
    const uint32_t* a;
    uint32_t b;
  };
  Frame frame{d, a, b};
  meet(~0U, "mma.m16n8k16.s8", where, &frame, [](void* const* frames, unsigned) {
    int32_t left[16][16], right[8][16];
    for (int lane = 0; lane < 32; ++lane) {
      const auto* const f = static_cast<const Frame*>(frames[lane]);
      for (int i = 0; i < 4; ++i) {
        const int k = lane % 4 * 4 + i;
        for (int r = 0; r < 2; ++r) {
          left[lane / 4 + 8 * r][k] = static_cast<int8_t>(f->a[r] >> (8 * i));
        }
        right[lane / 4][k] = static_cast<int8_t>(f->b >> (8 * i));
      }
    }
    for (int lane = 0; lane < 32; ++lane) {
      const auto* const f = static_cast<const Frame*>(frames[lane]);
      for (int i = 0; i < 4; ++i) {
        const int m = lane / 4 + i / 2 * 8;
        const int n = lane % 4 * 2 + i % 2;
        for (int k = 0; k < 16; ++k) f->d[i] += left[m][k] * right[n][k];
      }
    }
  });
}

}  // namespace cuda_emulation

using cuda_emulation::memory;
using cuda_emulation::options;

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  *properties = {};
  std::strcpy(properties->name, "emulated device");
  properties->major = 9;
  properties->totalGlobalMem = options().device_bytes;
  return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int* version) {
  *version = 13000;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) { return device == 0 ? cudaSuccess : cudaErrorInvalidValue; }
cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  *total = options().device_bytes;
  *free = *total - memory().allocated();
  return cudaSuccess;
}
cudaError_t cudaMalloc(void** target, size_t bytes) {
  *target = memory().allocate(bytes);
  return *target == nullptr ? cudaErrorMemoryAllocation : cudaSuccess;
}
cudaError_t cudaFree(void* target) {
  return target == nullptr || memory().release(target) ? cudaSuccess : cudaErrorInvalidValue;
}
cudaError_t cudaHostAlloc(void** target, size_t bytes, unsigned) {
  *target = std::aligned_alloc(4096, (bytes + 4096) / 4096 * 4096);
  return *target == nullptr ? cudaErrorMemoryAllocation : cudaSuccess;
}
cudaError_t cudaFreeHost(void* target) {
  std::free(target);
  return cudaSuccess;
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  *stream = new EmulatedStream;
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  delete stream->recording;
  delete stream;
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  if (stream->recording != nullptr) return cudaErrorStreamCaptureUnsupported;
  const auto queue = std::move(stream->queue);
  stream->queue.clear();
  memory().open();
  for (const auto& work : queue) work();
  memory().close();
  return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind,
                            cudaStream_t stream) {
  cuda_emulation::enqueue(stream, [=] { std::memcpy(to, from, bytes); });
  return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void* target, int value, size_t bytes, cudaStream_t stream) {
  cuda_emulation::enqueue(stream, [=] { std::memset(target, value, bytes); });
  return cudaSuccess;
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new EmulatedEvent;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  event->stream = stream;
  return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  return event->stream == nullptr ? cudaSuccess : cudaStreamSynchronize(event->stream);
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  if (options().no_graphs || stream->recording != nullptr) {
    return cudaErrorStreamCaptureUnsupported;
  }
  stream->recording = new EmulatedGraph;
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  *graph = stream->recording;
  stream->recording = nullptr;
  return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long) {
  *exec = new EmulatedGraph(*graph);
  return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
  ++cuda_emulation::graph_counts().launches;
  cuda_emulation::graph_counts().nodes += exec->nodes.size();
  for (const auto& node : exec->nodes) cuda_emulation::enqueue(stream, node);
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  delete exec;
  return cudaSuccess;
}
cudaError_t cudaGetLastError() { return cudaSuccess; }
const char* cudaGetErrorString(cudaError_t error) {
  return error == cudaErrorMemoryAllocation ? "out of memory" : "emulated error";
}
