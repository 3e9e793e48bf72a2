// The op tests on the emulated GPU. There is no pool of threads to vary, so the number of threads
// chooses the order in which a block's threads run.
#include "cuda_emulation/block.h"
#include "kernels/ops/support.h"

namespace llmrun::kernels {

std::vector<std::string> target_names() { return {"cuda"}; }

std::string why_not(const std::string& /*target*/) { return ""; }

std::unique_ptr<Backend> target_backend(const std::string& /*target*/, int threads) {
  cuda_emulation::options().seed = static_cast<uint64_t>(threads);
  auto backend = make_backend("cuda", {});
  EXPECT_TRUE(backend.has_value()) << backend.error().message;
  return std::move(*backend);
}

}  // namespace llmrun::kernels
