// The CPU targets of this build and which of them this machine runs.
#pragma once

#include <vector>

#include "kernels/backend.h"
#include "kernels/cpu/targets.h"

namespace llmrun::kernels::cpu {

struct TargetEntry {
  CpuTarget target;
  const TargetTable* table;
};
// Every compiled target, from the one that runs everywhere to the best.
const std::vector<TargetEntry>& compiled_targets();

}  // namespace llmrun::kernels::cpu
