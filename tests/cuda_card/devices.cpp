// The op tests on a card. The environment must say CUDA_LAUNCH_BLOCKING=1, because the tests read
// results as soon as an op returns; and what they allocate must be managed memory
// (managed_new.cpp).
#include <cstdlib>

#include "cuda_card/managed_new.h"
#include "kernels/cuda/backend.h"
#include "kernels/ops/support.h"

namespace llmrun::kernels {

std::vector<std::string> target_names() { return {"cuda"}; }

std::string why_not(const std::string& /*target*/) {
  if (std::getenv("CUDA_LAUNCH_BLOCKING") == nullptr) return "CUDA_LAUNCH_BLOCKING=1";
  const auto devices = cuda::list_devices();
  allocate_managed_memory();
  return devices ? "" : devices.error().message;
}

std::unique_ptr<Backend> target_backend(const std::string& /*target*/, int /*threads*/) {
  auto backend = make_backend("cuda", {});
  EXPECT_TRUE(backend.has_value()) << backend.error().message;
  return std::move(*backend);
}

}  // namespace llmrun::kernels
