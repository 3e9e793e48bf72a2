// Memory of a device, pinned memory of the host, and the two buffers that ops need: scratch, and
// the way of small host arrays (ids, page tables, expert lists) to the device.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>

#include "kernels/backend.h"
#include "kernels/cuda/runtime.h"
#include "kernels/cuda/sizes.h"

namespace llmrun::kernels::cuda {

// The code and text of an error of the runtime: what could not be done.
Error make_cuda_error(cudaError_t error, std::string_view what);

class Queue;

// Device memory; or, when `host` is set, pinned host memory that the device can reach too.
class DeviceMemory final : public Buffer {
 public:
  // copy(), clear(), write() and read() need a queue.
  explicit DeviceMemory(Queue* queue = nullptr) : queue_(queue) {}
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
  Result<void> read(void* to, size_t from, size_t bytes) override;

 private:
  Queue* queue_;
  void* memory_ = nullptr;
  size_t bytes_ = 0;
  bool host_ = false;
};

// Scratch that grows to the largest request; reserve() makes it large enough once.
class DeviceScratch {
 public:
  Result<void> reserve(size_t bytes);
  // Null when there is no memory. The contents of an earlier get() are lost.
  std::byte* get(size_t bytes, Queue& queue);
  [[nodiscard]] size_t size() const { return memory_.size(); }

 private:
  DeviceMemory memory_;
};

// A ring: arrays are copied into pinned memory, and from there to the same places of a device
// buffer. Nobody may put anything before the device has read what lies there: see Queue.
class Upload {
 public:
  Result<void> open();
  [[nodiscard]] bool has_room(size_t bytes) const { return used_ + aligned(bytes) <= kUploadBytes; }
  // Where the array will be on the device; null when there is no room.
  const void* put(const void* data, size_t bytes);
  // Sends what was put since the last time.
  cudaError_t send(cudaStream_t stream);
  // Sends all that was put: for recording, which sends nothing.
  cudaError_t record_send(cudaStream_t stream);
  [[nodiscard]] size_t unsent_bytes() const { return used_ - sent_; }
  // The device has read everything.
  void clear() { used_ = sent_ = 0; }

 private:
  DeviceMemory pinned_, device_;
  size_t used_ = 0, sent_ = 0;
};

}  // namespace llmrun::kernels::cuda
