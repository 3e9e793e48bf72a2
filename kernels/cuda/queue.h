// The order of a device's work. Outside of a step, launches and arrays of the host go to the stream
// at once. Within one they are held back, and at its end they are sent as a whole: as a CUDA graph
// when the same launches with the same parameters came before, else one by one. What changes from
// step to step (ids, positions, page tables) travels in the ring of arrays, whose places repeat
// when the step does, so a decode step is a graph that is launched again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "kernels/cuda/memory.h"
#include "kernels/cuda/runtime.h"

namespace llmrun::kernels::cuda {

// A launch without its parameters, which are `n_bytes` bytes.
struct Launch {
  using Run = cudaError_t (*)(const Launch& launch, const void* params, cudaStream_t stream);
  Run run = nullptr;
  void (*kernel)() = nullptr;
  unsigned grid_x = 1, grid_y = 1, grid_z = 1;
  unsigned threads = 1;
  size_t shared = 0;
  size_t n_bytes = 0;
};

class Queue {
 public:
  explicit Queue(cudaStream_t stream, int device = 0) : stream_(stream), device_(device) {}
  ~Queue();
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;

  Result<void> open() { return upload_.open(); }
  [[nodiscard]] cudaStream_t stream() const { return stream_; }
  [[nodiscard]] int device() const { return device_; }
  // Makes the stream's device the current one of this thread, which others may have changed: what
  // is allocated or sent needs it.
  void use_device() const;

  cudaError_t add(const Launch& launch, const void* params);
  // Forgets the last launch, for one that does its work too, unless it was sent already.
  bool take_back();
  // The array on the device for what is added next; null (and end_step() tells) when it is larger
  // than the ring.
  template <typename T>
  const T* put(const T* data, size_t n) {
    return static_cast<const T*>(put_bytes(data, n * sizeof(T)));
  }

  void begin_step() {
    use_device();
    holding_ = true;
  }
  // Sends what is held back, one by one; the step is then none that repeats.
  cudaError_t flush();
  // Sends the step and waits for all that was queued.
  cudaError_t end_step();
  // Waits for what was sent. Meanwhile `watch` is called again and again, when there is one: other
  // devices may have to do something first, which somebody has to look after.
  cudaError_t wait();
  void watch(std::function<void()> watch) { watch_ = std::move(watch); }
  void forget_graphs();

 private:
  struct Graph {
    std::vector<std::byte> image;  // of the step it stands for
    cudaGraphExec_t exec = nullptr;
    size_t bytes = 0;  // as they are planned
    uint64_t last_use = 0;
  };

  const void* put_bytes(const void* data, size_t bytes);
  cudaError_t send_one_by_one();
  // The step as a graph: an old one, or a new one when the step has been seen before. False: it has
  // to go one by one.
  bool send_as_graph(cudaError_t& error);
  cudaError_t record(cudaGraphExec_t& exec);
  // The graph of the step that is held back; null: there is none.
  Graph* find_graph();
  // Lets graphs go that are not used any more, until so many bytes are free. False: they are not.
  bool make_room(size_t bytes);

  cudaStream_t stream_;
  int device_;
  std::function<void()> watch_;
  Upload upload_;
  cudaError_t put_error_ = cudaSuccess;
  bool holding_ = false;
  bool repeats_ = true;           // the step may be a graph
  std::vector<std::byte> image_;  // the launches held back, each followed by its parameters
  size_t last_at_ = 0;            // where the last of them begins; the end: it was taken back
  std::vector<Graph> graphs_;     // in the order of their steps, more or less
  size_t next_graph_ = 0;         // where that of the next step probably is
  size_t graphs_bytes_ = 0;
  std::vector<uint64_t> seen_;  // hashes of the last steps that went one by one
  size_t next_seen_ = 0;
  bool graphs_work_ = true;
  uint64_t n_steps_ = 0;
};

}  // namespace llmrun::kernels::cuda
