// All bad rows in one message.
#pragma once

#include <span>

#include "batch/row.h"
#include "llmrun/error.h"

namespace llmrun::batch {

// kUsage that lists the rows with a fault, with their numbers; success when there are none.
Result<void> report_faults(std::span<const Row> rows, bool is_folder);

}  // namespace llmrun::batch
