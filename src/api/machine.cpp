// What this machine is, and the version.
#include <fstream>
#include <set>
#include <string>

#include "api/open_file.h"
#include "api/version.h"
#include "base/cpu_features.h"
#include "kernels/backend.h"
#include "llmrun/tools.h"

namespace llmrun {
namespace {

// Physical cores of the whole machine, whether this process may use them or not.
int physical_cores() {
  std::ifstream file("/proc/cpuinfo");
  std::set<std::pair<std::string, std::string>> cores;
  std::string line;
  std::string package;
  while (std::getline(file, line)) {
    const size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    const std::string value = line.substr(colon + 1);
    if (line.starts_with("physical id")) package = value;
    if (line.starts_with("core id")) cores.emplace(package, value);
  }
  return cores.empty() ? usable_physical_cores() : static_cast<int>(cores.size());
}

}  // namespace

MachineInfo describe_machine() {
  MachineInfo info;
  info.cpu = cpu_model_name();
  info.physical_cores = physical_cores();
  info.usable_cores = usable_physical_cores();
  for (const NamedFeature& feature : named_cpu_features()) {
    if (feature.present) info.features.emplace_back(feature.name);
  }
  for (const kernels::CpuTarget& target : kernels::cpu_targets()) {
    info.targets.push_back(
        {std::string(target.name), target.available, std::string(target.missing)});
  }
  if (const auto backend = kernels::make_backend("cpu", {1, {}})) {
    info.chosen_target = (*backend)->target();
  }
  info.memory_bytes = total_memory();
  info.available_bytes = available_memory();
  return info;
}

std::string_view version() { return kVersion; }

}  // namespace llmrun
