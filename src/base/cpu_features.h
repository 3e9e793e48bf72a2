// What the CPU and the operating system let this process use: instruction sets, cores, caches.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace llmrun {

// A feature is true when the CPU has it and the system saves its registers.
struct CpuFeatures {
  bool sse42 = false, avx = false, avx2 = false, fma = false, f16c = false, bmi2 = false;
  bool avx512f = false, avx512bw = false, avx512vl = false, avx512dq = false;
  bool avx512vnni = false, avx512bf16 = false, avx512vbmi = false, avx_vnni = false;
  bool amx_tile = false, amx_int8 = false, amx_bf16 = false;
};
// Asked once; later calls return the same object.
const CpuFeatures& cpu_features();

struct NamedFeature {
  std::string_view name;  // as /proc/cpuinfo writes it: "avx512vnni" is "avx512_vnni"
  bool present;
};
// All of CpuFeatures with their names, for `llmrun doctor`.
std::vector<NamedFeature> named_cpu_features();

std::string cpu_model_name();  // "AMD EPYC 9374F"; "unknown" when the system does not say

// Physical cores that the affinity mask and the cgroup's CPU quota leave to this process; at
// least 1. More threads than that only slow each other down.
int usable_physical_cores();
int usable_logical_cpus();

struct CacheSizes {
  size_t l1d = 0, l2 = 0, l3 = 0;  // bytes, as seen by one core; 0: unknown
};
CacheSizes cache_sizes();

}  // namespace llmrun
