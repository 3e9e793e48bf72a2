// Device names and the backends they stand for.
#include "kernels/backend.h"

#include <fmt/format.h>

#include <charconv>
#include <cstring>

#include "base/error.h"
#include "kernels/cpu/backend.h"
#include "kernels/cuda/backend.h"

namespace llmrun::kernels {
namespace {

constexpr std::string_view kCuda = "cuda";

// The index of "cuda" (0) or "cuda:N"; -1: another name.
int cuda_index(std::string_view device) {
  if (!device.starts_with(kCuda)) return -1;
  device.remove_prefix(kCuda.size());
  if (device.empty()) return 0;
  int index = -1;
  const char* const end = device.data() + device.size();
  const auto [stop, error] = std::from_chars(device.data() + 1, end, index);
  return device[0] == ':' && error == std::errc() && stop == end ? index : -1;
}

}  // namespace

// A buffer of no bytes may be at no address.
void Buffer::copy(size_t to, size_t from, size_t bytes) {
  if (bytes > 0) std::memmove(data() + to, data() + from, bytes);
}
void Buffer::clear(size_t at, size_t bytes) {
  if (bytes > 0) std::memset(data() + at, 0, bytes);
}
void Buffer::write(size_t to, const void* from, size_t bytes) {
  if (bytes > 0) std::memcpy(data() + to, from, bytes);
}

Result<DeviceChoice> choose_device(std::string_view device) {
  if (device == "cpu") return DeviceChoice{"cpu", ""};
  if (device == "auto") {
    const auto devices = cuda::list_devices();
    if (!devices) return DeviceChoice{"cpu", devices.error().message};
    return DeviceChoice{"cuda:0",
                        fmt::format("the first of {} GPU{}: {}", devices->size(),
                                    devices->size() == 1 ? "" : "s", devices->front().name)};
  }
  const int index = cuda_index(device);
  if (index < 0) {
    return make_error(ErrorCode::kUsage,
                      "there is no device '{}'; it can be auto, cpu, cuda or cuda:N", device);
  }
  return DeviceChoice{fmt::format("cuda:{}", index), ""};
}

Result<std::unique_ptr<Backend>> make_backend(std::string_view device,
                                              const BackendOptions& options) {
  LLMRUN_ASSIGN(const DeviceChoice choice, choose_device(device));
  if (choice.device == "cpu") return cpu::make_cpu_backend(options);
  return cuda::make_cuda_backend(cuda_index(choice.device), options);
}

}  // namespace llmrun::kernels
