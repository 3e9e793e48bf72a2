// What each of several cards takes of a model whose every layer they share.
#pragma once

#include <span>
#include <vector>

#include "gguf/reader.h"
#include "llmrun/model.h"
#include "runtime/device_plan.h"
#include "runtime/spec.h"

namespace llmrun {

// Exact but for what the driver takes, and without any card: the shares are bound, and nothing is
// read or copied. kUnsupported names what of the model cannot be shared.
Result<std::vector<runtime::DevicePlan>> plan_shares(const gguf::File& file,
                                                     const runtime::ModelSpec& spec,
                                                     const ContextOptions& context,
                                                     std::span<const runtime::DeviceRequest> cards);

}  // namespace llmrun
