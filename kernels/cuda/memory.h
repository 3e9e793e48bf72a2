// Memory of a device, pinned memory of the host, and the two buffers that ops need: scratch, and
// the way of small host arrays (ids, page tables, expert lists) to the device.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>

#include "kernels/backend.h"
#include "kernels/cuda/runtime.h"

namespace llmrun::kernels::cuda {

// The code and text of an error of the runtime: what could not be done.
Error make_cuda_error(cudaError_t error, std::string_view what);

// Device memory; or, when `host` is set, pinned host memory that the device can reach too.
class DeviceMemory final : public Buffer {
 public:
  explicit DeviceMemory(cudaStream_t stream = nullptr) : stream_(stream) {}
  ~DeviceMemory() override { reset(); }
  DeviceMemory(const DeviceMemory&) = delete;
  DeviceMemory& operator=(const DeviceMemory&) = delete;

  Result<void> allocate(size_t bytes, bool host);
  void reset();
  [[nodiscard]] std::byte* data() override { return static_cast<std::byte*>(memory_); }
  [[nodiscard]] size_t size() const override { return bytes_; }
  void commit() override {}  // it is the device's from the start
  void copy(size_t to, size_t from, size_t bytes) override;
  void clear(size_t at, size_t bytes) override;
  void write(size_t to, const void* from, size_t bytes) override;

 private:
  cudaStream_t stream_;
  void* memory_ = nullptr;
  size_t bytes_ = 0;
  bool host_ = false;
};

// Scratch that grows to the largest request; reserve() makes it large enough once.
class DeviceScratch {
 public:
  Result<void> reserve(size_t bytes);
  // Null when there is no memory. The contents of an earlier get() are lost.
  std::byte* get(size_t bytes, cudaStream_t stream);
  [[nodiscard]] size_t size() const { return memory_.size(); }

 private:
  DeviceMemory memory_;
};

// A ring: arrays are copied into pinned memory and from there to the same place of a device buffer,
// in the order of the stream. When the ring is full the host waits for the device once.
class Upload {
 public:
  Result<void> open();
  // The array on the device; null (and status() tells) when it is larger than the ring.
  const void* put(const void* data, size_t bytes, cudaStream_t stream);
  template <typename T>
  const T* array(const T* data, size_t n, cudaStream_t stream) {
    return static_cast<const T*>(put(data, n * sizeof(T), stream));
  }
  // The device has read everything.
  void clear() { used_ = 0; }
  [[nodiscard]] cudaError_t status() const { return status_; }

 private:
  DeviceMemory pinned_, device_;
  size_t used_ = 0;
  cudaError_t status_ = cudaSuccess;
};

}  // namespace llmrun::kernels::cuda
