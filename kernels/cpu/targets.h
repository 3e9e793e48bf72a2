// The kernels of one CPU target as tables of plain function pointers: all that the rest of the
// program sees of code compiled for an instruction set. No inline function may stand here, because
// a copy compiled for AVX-512 could then replace the one that old CPUs run.
#pragma once

#include "kernels/backend.h"

namespace llmrun::kernels::cpu {

struct TargetTable {
  const char* name;
};

// Every compiled target, the best last, and whether this machine can run it.
struct TargetEntry {
  CpuTarget target;
  const TargetTable* table;
};
const std::vector<TargetEntry>& compiled_targets();

}  // namespace llmrun::kernels::cpu
