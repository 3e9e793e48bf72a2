// Zeroed main memory, aligned for any vector, as a Buffer.
#pragma once

#include <memory>

#include "kernels/backend.h"

namespace llmrun::kernels {

Result<std::unique_ptr<Buffer>> allocate_host_buffer(size_t bytes);

}  // namespace llmrun::kernels
