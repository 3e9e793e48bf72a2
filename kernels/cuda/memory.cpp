// Allocation on the device and in pinned host memory.
#include "kernels/cuda/memory.h"

#include "base/error.h"
#include "base/units.h"
#include "kernels/cuda/sizes.h"

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

// Errors of these show at the next op or when the backend is waited for.
void DeviceMemory::copy(size_t to, size_t from, size_t bytes) {
  if (bytes == 0) return;
  cudaMemcpyAsync(data() + to, data() + from, bytes, cudaMemcpyDefault, stream_);
}
void DeviceMemory::clear(size_t at, size_t bytes) {
  if (bytes > 0) cudaMemsetAsync(data() + at, 0, bytes, stream_);
}
void DeviceMemory::write(size_t to, const void* from, size_t bytes) {
  if (bytes == 0) return;
  cudaMemcpyAsync(data() + to, from, bytes, cudaMemcpyDefault, stream_);
  cudaStreamSynchronize(stream_);
}

Result<void> DeviceScratch::reserve(size_t bytes) {
  if (bytes <= memory_.size()) return {};
  return memory_.allocate(bytes, false);
}

std::byte* DeviceScratch::get(size_t bytes, cudaStream_t stream) {
  if (bytes > memory_.size()) {
    cudaStreamSynchronize(stream);  // kernels may still use what is about to be freed
    if (!memory_.allocate(bytes, false)) return nullptr;
  }
  return memory_.data();
}

Result<void> Upload::open() {
  LLMRUN_TRY(pinned_.allocate(kUploadBytes, true));
  return device_.allocate(kUploadBytes, false);
}

const void* Upload::put(const void* data, size_t bytes, cudaStream_t stream) {
  if (aligned(bytes) > kUploadBytes || pinned_.size() == 0) {
    status_ = cudaErrorInvalidValue;
    return nullptr;
  }
  if (used_ + aligned(bytes) > kUploadBytes) {
    cudaStreamSynchronize(stream);
    used_ = 0;
  }
  std::byte* const from = pinned_.data() + used_;
  std::byte* const to = device_.data() + used_;
  used_ += aligned(bytes);
  if (bytes > 0) std::memcpy(from, data, bytes);
  const cudaError_t error = cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream);
  if (error != cudaSuccess) status_ = error;
  return to;
}

}  // namespace llmrun::kernels::cuda
