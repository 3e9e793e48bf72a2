// How many rows run at a time, and in how much memory.
#pragma once

#include "batch/group.h"
#include "batch/options.h"
#include "llmrun/error.h"
#include "llmrun/model_info.h"

namespace llmrun::batch {

// As many rows as the user asked for, or as are useful, with a cache for what the longest of them
// need; the cache is smaller (rows then wait for each other) where it would take more than half of
// the free memory.
Result<ContextOptions> context_for(const Options& options, const Group& group);

}  // namespace llmrun::batch
