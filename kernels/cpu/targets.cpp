#include "kernels/cpu/target_list.h"

#include "base/cpu_features.h"

namespace llmrun::kernels {
namespace cpu {

// `others` is the target whose tables serve for all but the products.
#define LLMRUN_CPU_TARGET(name, others, needs)        \
  extern const MatmulKernels k_matmul_##name;         \
  extern const RowKernels k_rows_##others;            \
  extern const AttentionKernels k_attention_##others; \
  extern const RecurrentKernels k_recurrent_##others;
#include "llmrun_cpu_targets.def"
#undef LLMRUN_CPU_TARGET

namespace {

#define LLMRUN_CPU_TARGET(name, others, needs)                                      \
  constexpr TargetTable kTable_##name = {#name, &k_matmul_##name, &k_rows_##others, \
                                         &k_attention_##others, &k_recurrent_##others};
#include "llmrun_cpu_targets.def"
#undef LLMRUN_CPU_TARGET

// The first of the space-separated features that this machine lacks; empty when it has all.
std::string_view first_missing(std::string_view needs) {
  while (!needs.empty()) {
    const std::string_view name = needs.substr(0, needs.find(' '));
    needs.remove_prefix(name.size() < needs.size() ? name.size() + 1 : needs.size());
    bool present = false;
    for (const NamedFeature& feature : named_cpu_features()) {
      if (feature.name == name) present = feature.present;
    }
    if (!present) return name;
  }
  return {};
}

TargetEntry entry(const TargetTable& table, std::string_view needs) {
  const std::string_view missing = first_missing(needs);
  return {CpuTarget{table.name, missing.empty(), missing}, &table};
}

}  // namespace

const std::vector<TargetEntry>& compiled_targets() {
  static const std::vector<TargetEntry> entries = {
#define LLMRUN_CPU_TARGET(name, others, needs) entry(kTable_##name, needs),
#include "llmrun_cpu_targets.def"
#undef LLMRUN_CPU_TARGET
  };
  return entries;
}

}  // namespace cpu

std::vector<CpuTarget> cpu_targets() {
  std::vector<CpuTarget> targets;
  for (const cpu::TargetEntry& entry : cpu::compiled_targets()) targets.push_back(entry.target);
  return targets;
}

}  // namespace llmrun::kernels
