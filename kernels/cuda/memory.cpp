// Allocation on the device and in pinned host memory.
#include "kernels/cuda/memory.h"

#include "base/error.h"
#include "base/units.h"
#include "kernels/cuda/queue.h"

namespace llmrun::kernels::cuda {
Error make_cuda_error(cudaError_t error, std::string_view what) {
  const ErrorCode code =
      error == cudaErrorMemoryAllocation ? ErrorCode::kOutOfMemory : ErrorCode::kInternal;
  return make_error(code, "{} failed on the GPU: {}", what, cudaGetErrorString(error)).value();
}

Result<void> DeviceMemory::allocate(size_t bytes, bool host) {
  reset();
  if (bytes == 0) return {};
  const cudaError_t error =
      host ? cudaHostAlloc(&memory_, bytes, cudaHostAllocDefault) : cudaMalloc(&memory_, bytes);
  if (error != cudaSuccess) {
    memory_ = nullptr;
    cudaGetLastError();  // or the next launch would report it again
    size_t free = 0;
    size_t total = 0;
    cudaMemGetInfo(&free, &total);
    return make_error(ErrorCode::kOutOfMemory,
                      "{} of {} could not be had: {} ({} of the GPU's {} are free); ask for a "
                      "smaller context or another device",
                      format_bytes(bytes), host ? "pinned main memory" : "GPU memory",
                      cudaGetErrorString(error), format_bytes(free), format_bytes(total));
  }
  bytes_ = bytes;
  host_ = host;
  return {};
}

void DeviceMemory::reset() {
  if (memory_ != nullptr) host_ ? cudaFreeHost(memory_) : cudaFree(memory_);
  memory_ = nullptr;
  bytes_ = 0;
}

// Errors of these show at the next op or when the backend is waited for. What a step holds back
// comes before them.
void DeviceMemory::copy(size_t to, size_t from, size_t bytes) {
  if (bytes == 0) return;
  queue_->flush();
  cudaMemcpyAsync(data() + to, data() + from, bytes, cudaMemcpyDefault, queue_->stream());
}
void DeviceMemory::clear(size_t at, size_t bytes) {
  if (bytes == 0) return;
  queue_->flush();
  cudaMemsetAsync(data() + at, 0, bytes, queue_->stream());
}
void DeviceMemory::write(size_t to, const void* from, size_t bytes) {
  if (bytes == 0) return;
  queue_->flush();
  cudaMemcpyAsync(data() + to, from, bytes, cudaMemcpyDefault, queue_->stream());
  queue_->wait();
}

Result<void> DeviceMemory::read(void* to, size_t from, size_t bytes) {
  if (bytes == 0) return {};
  cudaError_t error = queue_->flush();
  if (error == cudaSuccess) {
    error = cudaMemcpyAsync(to, data() + from, bytes, cudaMemcpyDefault, queue_->stream());
  }
  const cudaError_t waiting = cudaStreamSynchronize(queue_->stream());
  if (error == cudaSuccess) error = waiting;
  if (error != cudaSuccess) return tl::unexpected(make_cuda_error(error, "reading memory"));
  return {};
}

Result<void> DeviceScratch::reserve(size_t bytes) {
  if (bytes <= memory_.size()) return {};
  return memory_.allocate(bytes, false);
}

std::byte* DeviceScratch::get(size_t bytes, Queue& queue) {
  if (bytes > memory_.size()) {
    queue.flush();
    queue.wait();  // kernels may still use what is about to be freed
    if (!memory_.allocate(bytes, false)) return nullptr;
  }
  return memory_.data();
}

Result<void> Upload::open() {
  LLMRUN_TRY(pinned_.allocate(kUploadBytes, true));
  return device_.allocate(kUploadBytes, false);
}

const void* Upload::put(const void* data, size_t bytes) {
  if (!has_room(bytes) || pinned_.size() == 0) return nullptr;
  std::byte* const from = pinned_.data() + used_;
  std::byte* const to = device_.data() + used_;
  used_ += aligned(bytes);
  if (bytes > 0) std::memcpy(from, data, bytes);
  return to;
}

cudaError_t Upload::send(cudaStream_t stream) {
  const size_t from = sent_;
  sent_ = used_;
  if (from == used_) return cudaSuccess;
  return cudaMemcpyAsync(device_.data() + from, pinned_.data() + from, used_ - from,
                         cudaMemcpyDefault, stream);
}

cudaError_t Upload::record_send(cudaStream_t stream) {
  if (used_ == 0) return cudaSuccess;
  return cudaMemcpyAsync(device_.data(), pinned_.data(), used_, cudaMemcpyDefault, stream);
}

}  // namespace llmrun::kernels::cuda
