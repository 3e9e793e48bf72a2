// Checks of SamplingOptions.
#pragma once

#include "llmrun/error.h"
#include "llmrun/sampling_options.h"

namespace llmrun::sampling {

// An error names the option, its value and the range that makes sense.
Result<void> validate(const SamplingOptions& options);

}  // namespace llmrun::sampling
