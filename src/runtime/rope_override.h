// Whether an override of the rotary embedding makes sense, by itself and for a model.
#pragma once

#include "llmrun/error.h"
#include "llmrun/rope_override.h"
#include "runtime/spec.h"

namespace llmrun::runtime {

// kUsage for values that are none.
Result<void> check_override(const RopeOverride& rope);
// kUsage for an override that a model with this spec, built with it, does not follow.
Result<void> check_followed(const ModelSpec& spec, const RopeOverride& rope);

}  // namespace llmrun::runtime
