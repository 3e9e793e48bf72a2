// Stands for the CUDA backend in a build without it.
#include "base/error.h"
#include "kernels/cuda/backend.h"
#include "kernels/gatherer.h"

namespace llmrun::kernels::cuda {

Result<std::vector<Device>> list_devices() {
  return make_error(ErrorCode::kUnsupported,
                    "this build has no CUDA kernels; build llmrun with -DLLMRUN_CUDA=ON to use an "
                    "NVIDIA GPU");
}

Result<Device> find_device(int /*index*/) { return tl::unexpected(list_devices().error()); }
Result<uint64_t> free_bytes(int /*device*/) { return tl::unexpected(list_devices().error()); }

Result<std::unique_ptr<Backend>> make_cuda_backend(int /*device*/,
                                                   const BackendOptions& /*options*/) {
  return tl::unexpected(list_devices().error());
}

Result<std::unique_ptr<Gatherer>> make_nccl_gatherer(std::span<Backend* const> /*ranks*/) {
  return tl::unexpected(list_devices().error());
}

}  // namespace llmrun::kernels::cuda
