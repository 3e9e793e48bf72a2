// Device names and the backends they stand for.
#include "kernels/backend.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "base/error.h"
#include "kernels/cpu/backend.h"
#include "kernels/cuda/backend.h"

namespace llmrun::kernels {
namespace {

constexpr std::string_view kCuda = "cuda";

// The indices of "cuda" (0), "cuda:N" or "cuda:N,M"; none: another name, or one of them twice.
std::vector<int> cuda_indices(std::string_view device) {
  if (!device.starts_with(kCuda)) return {};
  device.remove_prefix(kCuda.size());
  if (device.empty()) return {0};
  std::vector<int> indices;
  for (char before = ':'; !device.empty(); before = ',') {
    int index = -1;
    const char* const end = device.data() + device.size();
    const auto [stop, error] = std::from_chars(device.data() + 1, end, index);
    const bool twice = std::find(indices.begin(), indices.end(), index) != indices.end();
    if (device[0] != before || error != std::errc() || index < 0 || twice) return {};
    indices.push_back(index);
    device.remove_prefix(static_cast<size_t>(stop - device.data()));
  }
  return indices;
}

Result<int> cuda_index(std::string_view device) {
  const std::vector<int> indices = cuda_indices(device);
  if (indices.size() != 1) return make_error(ErrorCode::kUsage, "{} is not one GPU", device);
  return indices.front();
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
Result<void> Buffer::read(void* to, size_t from, size_t bytes) {
  if (bytes > 0) std::memcpy(to, data() + from, bytes);
  return {};
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
  const std::vector<int> indices = cuda_indices(device);
  if (indices.empty()) {
    return make_error(ErrorCode::kUsage,
                      "there is no device '{}'; it can be auto, cpu, cuda, cuda:N or cuda:N,M",
                      device);
  }
  return DeviceChoice{fmt::format("cuda:{}", fmt::join(indices, ",")), ""};
}

std::vector<std::string> devices_of(const DeviceChoice& choice) {
  std::vector<std::string> names;
  for (const int index : cuda_indices(choice.device))
    names.push_back(fmt::format("cuda:{}", index));
  if (names.empty()) names.push_back(choice.device);
  return names;
}

Result<Gpu> find_gpu(std::string_view device) {
  LLMRUN_ASSIGN(const int index, cuda_index(device));
  LLMRUN_ASSIGN(cuda::Device found, cuda::find_device(index));
  return Gpu{std::move(found.name), found.total_bytes};
}

Result<uint64_t> free_gpu_bytes(std::string_view device) {
  LLMRUN_ASSIGN(const int index, cuda_index(device));
  return cuda::free_bytes(index);
}

Result<std::unique_ptr<Backend>> make_backend(std::string_view device,
                                              const BackendOptions& options) {
  LLMRUN_ASSIGN(const DeviceChoice choice, choose_device(device));
  if (choice.device == "cpu") return cpu::make_cpu_backend(options);
  const std::vector<int> indices = cuda_indices(choice.device);
  if (indices.size() > 1) {
    return make_error(ErrorCode::kUsage, "{} is more than one device", device);
  }
  return cuda::make_cuda_backend(indices.front(), options);
}

}  // namespace llmrun::kernels
