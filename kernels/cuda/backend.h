// The CUDA backend, and what there is to run it on. In a build without CUDA, and on a machine
// without a driver, both say so.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernels/backend.h"

namespace llmrun::kernels {
class Gatherer;
}

namespace llmrun::kernels::cuda {

struct Device {
  std::string name;    // "NVIDIA H100 80GB HBM3"
  std::string target;  // "sm_90"
  uint64_t total_bytes = 0;
};
// The devices that can be used, or why there are none.
Result<std::vector<Device>> list_devices();
// One of them; kUsage when there are fewer.
Result<Device> find_device(int index);

// What can still be allocated on a device; makes a context there.
Result<uint64_t> free_bytes(int device);

Result<std::unique_ptr<Backend>> make_cuda_backend(int device, const BackendOptions& options);

// For such backends, which must outlive it; see gatherer.h.
Result<std::unique_ptr<Gatherer>> make_nccl_gatherer(std::span<Backend* const> ranks);

}  // namespace llmrun::kernels::cuda
