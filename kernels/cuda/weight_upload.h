// The way of weights to the device: through two pieces of pinned memory, so that one is filled from
// the mapped file (and the file is read) while the other is on its way over the bus.
#pragma once

#include <array>
#include <cstddef>
#include <memory>

#include "base/thread_pool.h"
#include "kernels/cuda/memory.h"

namespace llmrun::kernels::cuda {

class WeightUpload {
 public:
  static constexpr size_t kPieceBytes = size_t{32} << 20;

  explicit WeightUpload(cudaStream_t stream, size_t piece_bytes = kPieceBytes)
      : stream_(stream), piece_bytes_(piece_bytes) {}
  ~WeightUpload() { close(); }
  WeightUpload(const WeightUpload&) = delete;
  WeightUpload& operator=(const WeightUpload&) = delete;

  // Copies `bytes` bytes in the order of the stream. `from` may change when this has returned.
  cudaError_t send(std::byte* to, const std::byte* from, size_t bytes);
  // Gives the pinned memory back, once all has arrived. send() takes it again.
  void close();

 private:
  struct Piece {
    DeviceMemory pinned;
    cudaEvent_t sent = nullptr;
  };

  // False: there is no pinned memory.
  bool open();

  cudaStream_t stream_;
  size_t piece_bytes_;
  std::array<Piece, 2> pieces_;
  size_t next_ = 0;
  std::unique_ptr<ThreadPool> threads_;
};

}  // namespace llmrun::kernels::cuda
