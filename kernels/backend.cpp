// Device names and the backends they stand for.
#include "kernels/backend.h"

#include "base/error.h"
#include "kernels/cpu/backend.h"

namespace llmrun::kernels {

Result<std::unique_ptr<Backend>> make_backend(std::string_view device,
                                              const BackendOptions& options) {
  if (device == "cpu") return cpu::make_cpu_backend(options);
  return make_error(ErrorCode::kUsage, "there is no device '{}'; this build knows: cpu", device);
}

}  // namespace llmrun::kernels
