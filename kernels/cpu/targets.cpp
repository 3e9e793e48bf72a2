// Which targets were compiled and which of them this machine runs.
#include "kernels/cpu/targets.h"

#include "base/cpu_features.h"

namespace llmrun::kernels {
namespace cpu {
namespace {

constexpr TargetTable kPlain{"plain"};

TargetEntry entry(const TargetTable& table, std::string_view missing) {
  return {CpuTarget{table.name, missing.empty(), missing}, &table};
}

}  // namespace

const std::vector<TargetEntry>& compiled_targets() {
  static const std::vector<TargetEntry> entries = {entry(kPlain, "")};
  return entries;
}

}  // namespace cpu

std::vector<CpuTarget> cpu_targets() {
  std::vector<CpuTarget> targets;
  for (const cpu::TargetEntry& entry : cpu::compiled_targets()) targets.push_back(entry.target);
  return targets;
}

}  // namespace llmrun::kernels
