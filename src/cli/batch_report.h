// What `llmrun batch --dry-run` and `llmrun estimate --batch` print.
#pragma once

#include "batch/job.h"
#include "llmrun/error.h"

namespace llmrun::cli {

// Calibrates (a few seconds) and prints rows, tokens, memory and time.
Result<void> print_batch_estimate(const batch::Job& job, bool json);

}  // namespace llmrun::cli
