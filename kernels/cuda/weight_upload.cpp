// Filling one piece while the other is sent.
#include "kernels/cuda/weight_upload.h"

#include <algorithm>
#include <cstring>
#include <thread>

namespace llmrun::kernels::cuda {
namespace {

// One thread copies from the page cache at half the speed of a fast bus.
constexpr unsigned kMaxThreads = 4;

void copy(ThreadPool& threads, std::byte* to, const std::byte* from, size_t bytes) {
  constexpr size_t kPart = size_t{1} << 20;
  const auto n_parts = static_cast<int64_t>((bytes + kPart - 1) / kPart);
  threads.parallel_for(n_parts, [&](int64_t part) {
    const size_t first = static_cast<size_t>(part) * kPart;
    std::memcpy(to + first, from + first, std::min(kPart, bytes - first));
  });
}

}  // namespace

bool WeightUpload::open() {
  if (threads_ != nullptr) return true;
  for (Piece& piece : pieces_) {
    if (!piece.pinned.allocate(piece_bytes_, true) ||
        cudaEventCreateWithFlags(&piece.sent, cudaEventDisableTiming) != cudaSuccess) {
      close();
      return false;
    }
  }
  const unsigned n_threads = std::clamp(std::thread::hardware_concurrency(), 1U, kMaxThreads);
  threads_ = std::make_unique<ThreadPool>(static_cast<int>(n_threads));
  return true;
}

void WeightUpload::close() {
  for (Piece& piece : pieces_) {
    if (piece.sent == nullptr) continue;
    cudaEventSynchronize(piece.sent);
    cudaEventDestroy(piece.sent);
    piece.sent = nullptr;
    piece.pinned.reset();
  }
  threads_.reset();
}

cudaError_t WeightUpload::send(std::byte* to, const std::byte* from, size_t bytes) {
  if (bytes > 0 && !open()) {  // slower, but it arrives
    cudaGetLastError();
    const cudaError_t error = cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream_);
    return error == cudaSuccess ? cudaStreamSynchronize(stream_) : error;
  }
  for (size_t done = 0; done < bytes; done += piece_bytes_) {
    Piece& piece = pieces_[next_];
    next_ = 1 - next_;
    // What it held last has arrived. An event that was never recorded is over.
    cudaError_t error = cudaEventSynchronize(piece.sent);
    const size_t n = std::min(piece_bytes_, bytes - done);
    if (error == cudaSuccess) {
      copy(*threads_, piece.pinned.data(), from + done, n);
      error = cudaMemcpyAsync(to + done, piece.pinned.data(), n, cudaMemcpyDefault, stream_);
    }
    if (error == cudaSuccess) error = cudaEventRecord(piece.sent, stream_);
    if (error != cudaSuccess) return error;
  }
  return cudaSuccess;
}

}  // namespace llmrun::kernels::cuda
