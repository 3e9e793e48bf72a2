// A backend: a device that owns memory and runs the ops of kernels/ops.h on it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/observer.h"
#include "kernels/ops.h"
#include "llmrun/error.h"

namespace llmrun::kernels {

// Memory of a backend, freed when the object dies. Contents are zero at first.
class Buffer {
 public:
  virtual ~Buffer() = default;
  [[nodiscard]] virtual std::byte* data() = 0;
  [[nodiscard]] virtual size_t size() const = 0;
  // Takes the memory from the system now. Main memory otherwise arrives page by page as it is used,
  // which is faster to start with and safe as long as there is plenty.
  virtual void commit() = 0;
  // In the order of the ops, so that the host need not wait: moves bytes within the buffer, clears
  // them, brings them from the host (whose copy may then change at once).
  virtual void copy(size_t to, size_t from, size_t bytes);
  virtual void clear(size_t at, size_t bytes);
  virtual void write(size_t to, const void* from, size_t bytes);
  // Brings them to the host, which waits.
  virtual Result<void> read(void* to, size_t from, size_t bytes);
};

struct BackendOptions {
  int threads = 0;         // 0: one per physical core this process may use
  std::string cpu_target;  // empty: the best this machine has; else a name of cpu_targets()
  MatmulObserver* observer = nullptr;  // must outlive the backend
};

// A CPU target: a set of instructions the kernels were compiled for.
struct CpuTarget {
  std::string_view name;  // "plain", "avx2", "avx512", …
  bool available = false;
  std::string_view missing;  // the first feature that is not there; empty when available
};
std::vector<CpuTarget> cpu_targets();

struct FindBestParams;
struct DrawParams;

class Backend {
 public:
  virtual ~Backend() = default;
  [[nodiscard]] virtual std::string_view name() const = 0;    // "cpu"
  [[nodiscard]] virtual std::string_view target() const = 0;  // "avx2"
  [[nodiscard]] virtual int threads() const = 0;
  virtual Result<std::unique_ptr<Buffer>> allocate(size_t bytes) = 0;
  // Memory that the host reads and writes too, at the same addresses, once finish() has returned.
  // On the CPU all memory is like that.
  virtual Result<std::unique_ptr<Buffer>> allocate_shared(size_t bytes) { return allocate(bytes); }
  // Makes room at once for weights of these sizes, which prepare() is then given; earlier ones go.
  virtual Result<void> reserve_weights(const std::vector<size_t>& /*sizes*/) { return {}; }
  // Binds a weight for the ops: zero-copy on the CPU, an upload on a device. `weight.data` points
  // into the mapped file and outlives the backend's use of it.
  virtual Result<Weight> prepare(const Weight& weight) = 0;
  // Bytes of scratch the ops will hold for calls of at most this size (part of the memory plan).
  [[nodiscard]] virtual size_t workspace_bytes(int64_t max_tokens, int64_t max_width) const = 0;
  // Reserves that scratch; after it no op allocates.
  virtual Result<void> reserve(int64_t max_tokens, int64_t max_width) = 0;
  virtual Ops& ops() = 0;
  // Scratch of find_best() and draw() for at most n rows; 0: there are none, because the host reads
  // this backend's memory as fast as the backend does.
  [[nodiscard]] virtual size_t find_best_bytes(int64_t /*n*/, int64_t /*width*/) const { return 0; }
  // In the order of the ops; see find_best.h.
  virtual void find_best(const FindBestParams& /*params*/) {}
  // The same; see draw.h.
  virtual void draw(const DrawParams& /*params*/) {}
  // The ops until finish() are one step: nobody looks at what they compute before, so a device may
  // hold them back and run them as a whole.
  virtual void begin_step() {}
  // How often all threads have met so far; a few microseconds each time.
  [[nodiscard]] virtual uint64_t barriers() const { return 0; }
  // Waits until everything queued is done; the first error since the last call.
  virtual Result<void> finish() { return {}; }
  // Work of the host between two passes, on the threads that run the ops: calls fn(task, thread)
  // for each task of [0, n_tasks), with a thread below threads(). Tasks must not throw.
  using HostWork = std::function<void(int64_t task, int thread)>;
  virtual void share(int64_t n_tasks, const HostWork& fn) {
    for (int64_t task = 0; task < n_tasks; ++task) fn(task, 0);
  }
};

// What a device name stands for on this machine.
struct DeviceChoice {
  std::string device;  // "cpu", "cuda:0" or "cuda:0,1"
  std::string reason;  // why "auto" chose it; empty when the user named it
};
// device: "cpu", "cuda", "cuda:N", "cuda:N,M" (the layers are divided among them) or "auto" (a GPU
// when there is one). Asking for a GPU that is not there is an error, never a silent turn to the
// CPU.
Result<DeviceChoice> choose_device(std::string_view device);
// Each of them by its own name.
std::vector<std::string> devices_of(const DeviceChoice& choice);
struct Gpu {
  std::string title;  // "NVIDIA H100 80GB HBM3"
  uint64_t memory_bytes = 0;
};
// One GPU of this machine, by its name.
Result<Gpu> find_gpu(std::string_view device);
// What can still be allocated on it; makes a context there.
Result<uint64_t> free_gpu_bytes(std::string_view device);
// Of one device.
Result<std::unique_ptr<Backend>> make_backend(std::string_view device,
                                              const BackendOptions& options);
// The plain loops of kernels/ref behind the same contract: the oracle of every test.
std::unique_ptr<Backend> make_reference_backend();

}  // namespace llmrun::kernels
