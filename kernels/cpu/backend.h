#pragma once

#include "kernels/backend.h"

namespace llmrun::kernels::cpu {

// An error when the target is unknown or cannot run on this machine.
Result<std::unique_ptr<Backend>> make_cpu_backend(const BackendOptions& options);

}  // namespace llmrun::kernels::cpu
