// The op tests on the CPU: every target of this build.
#include "kernels/ops/support.h"

namespace llmrun::kernels {

std::vector<std::string> target_names() {
  std::vector<std::string> names;
  for (const CpuTarget& target : cpu_targets()) names.emplace_back(target.name);
  return names;
}

std::string why_not(const std::string& target) {
  for (const CpuTarget& known : cpu_targets()) {
    if (known.name == target) return std::string(known.missing);
  }
  return "a build that has it";
}

std::unique_ptr<Backend> target_backend(const std::string& target, int threads) {
  BackendOptions options;
  options.cpu_target = target;
  options.threads = threads;
  auto backend = make_backend("cpu", options);
  EXPECT_TRUE(backend.has_value()) << backend.error().message;
  return std::move(*backend);
}

}  // namespace llmrun::kernels
