// The memory of a device is one reserved range of addresses, so that it can be closed at once to
// the host and to other devices; an allocation is followed by bytes that AddressSanitizer forbids.
#include "cuda_emulation/runtime.h"

#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "cuda_emulation/cuda.h"
#include "cuda_emulation/devices.h"
#include "kernels/quant/float_formats.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

struct EmulatedGraph {
  std::vector<cuda_emulation::Work> nodes;
};
struct EmulatedStream {
  size_t device = 0;
  std::deque<cuda_emulation::Work> queue;
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
    if (sizes_.empty()) forget();
    return true;
  }
  void open() { protect(PROT_READ | PROT_WRITE); }
  void close() {
    if (options().closed_memory) protect(PROT_NONE);
  }
  [[nodiscard]] size_t allocated() const { return allocated_; }

 private:
  static constexpr size_t kPage = 4096;

  void protect(int protection) {
    const size_t end = (used_ + kPage - 1) / kPage * kPage;
    if (end > first_) mprotect(base_ + first_, end - first_, protection);
  }
  // Nothing is held: what was is closed for good, so that opening does not take longer and longer.
  void forget() {
    protect(PROT_NONE);
    used_ = first_ = (used_ + kPage - 1) / kPage * kPage;
  }
  std::byte* base_ = nullptr;
  size_t first_ = 0;  // where what may be opened begins
  size_t used_ = 0, allocated_ = 0;
  std::map<std::byte*, size_t> sizes_;
};

DeviceMemory& memory(size_t device) {
  static std::deque<DeviceMemory> all;
  while (all.size() <= device) all.emplace_back();
  return all[device];
}

// Devices may have threads of their own; the emulation does one thing at a time.
std::unique_lock<std::recursive_mutex> alone() {
  static std::recursive_mutex mutex;
  return std::unique_lock(mutex);
}

size_t n_pinned = 0, n_handles = 0;
std::set<cudaStream_t> streams;
std::map<void*, size_t> pinned_sizes;
thread_local size_t current_device = 0;

// As a device does it, whose memory is open then; the default stream is that of the tests, which
// look everywhere.
void run(cudaStream_t stream, const std::function<void()>& work) {
  const size_t first = stream == nullptr ? 0 : stream->device;
  const size_t last = stream == nullptr ? static_cast<size_t>(device_count()) - 1 : first;
  for (size_t device = first; device <= last; ++device) memory(device).open();
  work();
  for (size_t device = first; device <= last; ++device) memory(device).close();
}

// Does what is in order, up to what has to wait. True: nothing is left.
bool advance(cudaStream_t stream) {
  std::deque<Work>& queue = stream->queue;
  run(stream, [&] {
    while (!queue.empty()) {
      Work work = std::move(queue.front());
      queue.pop_front();
      if (work()) continue;
      queue.push_front(std::move(work));
      return;
    }
  });
  return queue.empty();
}

void put_in_order(cudaStream_t stream, Work work) {
  const auto lock = cuda_emulation::alone();
  if (stream == nullptr) {
    run(stream, [&] { work(); });
  } else if (stream->recording != nullptr) {
    stream->recording->nodes.push_back(std::move(work));
  } else {
    stream->queue.push_back(std::move(work));
    if (!options().deferred) (void)advance(stream);
  }
}

Work at_once(std::function<void()> work) {
  return [work = std::move(work)] {
    work();
    return true;
  };
}

// Only copies may go to the stream of a device that is not the current one.
void check_current(cudaStream_t stream, const char* what) {
  if (stream == nullptr || stream->device == current_device) return;
  throw Error(std::string(what) + " on a stream of device " + std::to_string(stream->device) +
              " while device " + std::to_string(current_device) + " is the current one");
}

}  // namespace

int& device_count() {
  static int count = 1;
  return count;
}

void enqueue(cudaStream_t stream, std::function<void()> work) {
  enqueue_waiting(stream, at_once(std::move(work)));
}
void enqueue_waiting(cudaStream_t stream, Work work) {
  check_current(stream, "a launch");
  put_in_order(stream, std::move(work));
}

size_t allocated_bytes(int device) { return memory(static_cast<size_t>(device)).allocated(); }
size_t allocated_bytes() {
  size_t bytes = 0;
  for (int device = 0; device < device_count(); ++device) bytes += allocated_bytes(device);
  return bytes;
}
size_t pinned_bytes() { return n_pinned; }
size_t live_handles() { return n_handles; }

GraphCounts& graph_counts() {
  static GraphCounts counts;
  return counts;
}

// The end of every mma: to the accumulators of all lanes, of which each has rows lane / 4 and 8
// further, columns 2 * (lane % 4) and one further.
template <typename Frame, typename T, int kDepth>
static void add_products(void* const* frames, const T (&left)[16][kDepth],
                         const T (&right)[8][kDepth]) {
  for (int lane = 0; lane < 32; ++lane) {
    const auto* const f = static_cast<const Frame*>(frames[lane]);
    for (int i = 0; i < 4; ++i) {
      const int m = lane / 4 + i / 2 * 8;
      const int n = lane % 4 * 2 + i % 2;
      for (int k = 0; k < kDepth; ++k) f->d[i] += left[m][k] * right[n][k];
    }
  }
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
    add_products<Frame>(frames, left, right);
  });
}

void mma_m16n8k16_half(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], bool is_bf16,
                       const Location& where) {
  struct Frame {
    float* d;
    const uint32_t* a;
    const uint32_t* b;
    bool is_bf16;
  };
  Frame frame{d, a, b, is_bf16};
  meet(~0U, "mma.m16n8k16", where, &frame, [](void* const* frames, unsigned) {
    const bool bf16 = static_cast<const Frame*>(frames[0])->is_bf16;
    const auto value = [&](uint32_t word, int i) {
      const auto bits = static_cast<uint16_t>(word >> (16 * i));
      return bf16 ? llmrun::quant::float_from_bf16(bits) : llmrun::quant::float_from_f16(bits);
    };
    float left[16][16], right[8][16];
    for (int lane = 0; lane < 32; ++lane) {
      const auto* const f = static_cast<const Frame*>(frames[lane]);
      const int column = lane % 4 * 2;
      for (int i = 0; i < 8; ++i) {
        left[lane / 4 + i / 2 % 2 * 8][column + i / 4 * 8 + i % 2] = value(f->a[i / 2], i % 2);
      }
      for (int i = 0; i < 4; ++i) {
        right[lane / 4][column + i / 2 * 8 + i % 2] = value(f->b[i / 2], i % 2);
      }
    }
    add_products<Frame>(frames, left, right);
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
    add_products<Frame>(frames, left, right);
  });
}

}  // namespace cuda_emulation

using cuda_emulation::check_current;
using cuda_emulation::current_device;
using cuda_emulation::device_count;
using cuda_emulation::memory;
using cuda_emulation::n_handles;
using cuda_emulation::options;

cudaError_t cudaGetDeviceCount(int* count) {
  *count = device_count();
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
cudaError_t cudaSetDevice(int device) {
  if (device < 0 || device >= device_count()) return cudaErrorInvalidValue;
  current_device = static_cast<size_t>(device);
  return cudaSuccess;
}
cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  const auto lock = cuda_emulation::alone();
  *total = options().device_bytes;
  *free = *total - memory(current_device).allocated();
  return cudaSuccess;
}
cudaError_t cudaMalloc(void** target, size_t bytes) {
  const auto lock = cuda_emulation::alone();
  *target = memory(current_device).allocate(bytes);
  return *target == nullptr ? cudaErrorMemoryAllocation : cudaSuccess;
}
// Freeing waits for what is in order (CUDA C++ Programming Guide, "Implicit Synchronization").
static void wait_for_all_streams() {
  for (const cudaStream_t stream : cuda_emulation::streams) {
    if (stream->recording == nullptr) (void)cudaStreamSynchronize(stream);
  }
}
cudaError_t cudaFree(void* target) {
  const auto lock = cuda_emulation::alone();
  if (target == nullptr) return cudaSuccess;
  wait_for_all_streams();
  for (size_t device = 0; device < static_cast<size_t>(device_count()); ++device) {
    if (memory(device).release(target)) return cudaSuccess;
  }
  return cudaErrorInvalidValue;
}
cudaError_t cudaHostAlloc(void** target, size_t bytes, unsigned) {
  const auto lock = cuda_emulation::alone();
  *target = std::aligned_alloc(4096, (bytes + 4096) / 4096 * 4096);
  if (*target == nullptr) return cudaErrorMemoryAllocation;
  cuda_emulation::n_pinned += bytes;
  cuda_emulation::pinned_sizes[*target] = bytes;
  return cudaSuccess;
}
cudaError_t cudaFreeHost(void* target) {
  const auto lock = cuda_emulation::alone();
  const auto known = cuda_emulation::pinned_sizes.extract(target);
  if (known.empty()) return cudaErrorInvalidValue;
  wait_for_all_streams();
  cuda_emulation::n_pinned -= known.mapped();
  std::free(target);
  return cudaSuccess;
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  const auto lock = cuda_emulation::alone();
  *stream = new EmulatedStream;
  (*stream)->device = current_device;
  cuda_emulation::streams.insert(*stream);
  ++n_handles;
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  const auto lock = cuda_emulation::alone();
  --n_handles;
  cuda_emulation::streams.erase(stream);
  delete stream->recording;
  delete stream;
  return cudaSuccess;
}
cudaError_t cudaStreamQuery(cudaStream_t stream) {
  const auto lock = cuda_emulation::alone();
  if (stream->recording != nullptr) return cudaErrorStreamCaptureUnsupported;
  return cuda_emulation::advance(stream) ? cudaSuccess : cudaErrorNotReady;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  cudaError_t state = cudaStreamQuery(stream);
  while (state == cudaErrorNotReady) {  // others go on meanwhile
    std::this_thread::yield();
    state = cudaStreamQuery(stream);
  }
  return state;
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind,
                            cudaStream_t stream) {
  cuda_emulation::put_in_order(stream,
                               cuda_emulation::at_once([=] { std::memcpy(to, from, bytes); }));
  return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void* target, int value, size_t bytes, cudaStream_t stream) {
  cuda_emulation::enqueue(stream, [=] { std::memset(target, value, bytes); });
  return cudaSuccess;
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  const auto lock = cuda_emulation::alone();
  *event = new EmulatedEvent;
  ++n_handles;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  check_current(stream, "an event");
  event->stream = stream;
  return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  return event->stream == nullptr ? cudaSuccess : cudaStreamSynchronize(event->stream);
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  const auto lock = cuda_emulation::alone();
  delete event;
  --n_handles;
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
  const auto lock = cuda_emulation::alone();
  *exec = new EmulatedGraph(*graph);
  ++n_handles;
  return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
  const auto lock = cuda_emulation::alone();
  ++cuda_emulation::graph_counts().launches;
  cuda_emulation::graph_counts().nodes += exec->nodes.size();
  for (const auto& node : exec->nodes) cuda_emulation::enqueue_waiting(stream, node);
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  const auto lock = cuda_emulation::alone();
  delete exec;
  --n_handles;
  return cudaSuccess;
}
cudaError_t cudaGetLastError() { return cudaSuccess; }
const char* cudaGetErrorString(cudaError_t error) {
  return error == cudaErrorMemoryAllocation ? "out of memory" : "emulated error";
}
