#include "base/cpu_features.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <limits>
#include <set>
#include <sstream>
#include <utility>

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#endif

namespace llmrun {
namespace {

#if defined(__x86_64__)
struct Registers {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
};

Registers cpuid(unsigned leaf, unsigned subleaf) {
  Registers r;
  if (__get_cpuid_count(leaf, subleaf, &r.eax, &r.ebx, &r.ecx, &r.edx) == 0) return {};
  return r;
}

bool bit(unsigned word, int index) { return ((word >> index) & 1U) != 0; }

// Which register sets the system saves when it switches threads.
unsigned xcr0() {
  unsigned low = 0;
  unsigned high = 0;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

// Linux hands out the AMX tile registers on request only (Documentation/arch/x86/xstate.rst).
bool request_amx() {
  constexpr int kArchRequestXcompPermission = 0x1023;
  constexpr int kTileData = 18;
  return syscall(SYS_arch_prctl, kArchRequestXcompPermission, kTileData) == 0;
}

CpuFeatures detect() {
  CpuFeatures f;
  const Registers basic = cpuid(1, 0);
  f.sse42 = bit(basic.ecx, 20);
  const bool system_saves = bit(basic.ecx, 27);  // OSXSAVE
  const unsigned saved = system_saves ? xcr0() : 0;
  const bool ymm = (saved & 0x6U) == 0x6U;
  const bool zmm = (saved & 0xe6U) == 0xe6U;
  const bool tiles = (saved & 0x60000U) == 0x60000U;
  const Registers extended = cpuid(7, 0);
  const Registers extended1 = cpuid(7, 1);
  f.bmi2 = bit(extended.ebx, 8);
  f.avx = ymm && bit(basic.ecx, 28);
  f.fma = f.avx && bit(basic.ecx, 12);
  f.f16c = f.avx && bit(basic.ecx, 29);
  f.avx2 = f.avx && bit(extended.ebx, 5);
  f.avx_vnni = f.avx2 && bit(extended1.eax, 4);
  f.avx512f = zmm && bit(extended.ebx, 16);
  f.avx512dq = f.avx512f && bit(extended.ebx, 17);
  f.avx512bw = f.avx512f && bit(extended.ebx, 30);
  f.avx512vl = f.avx512f && bit(extended.ebx, 31);
  f.avx512vbmi = f.avx512f && bit(extended.ecx, 1);
  f.avx512vnni = f.avx512f && bit(extended.ecx, 11);
  f.avx512bf16 = f.avx512f && bit(extended1.eax, 5);
  f.amx_tile = tiles && bit(extended.edx, 24) && request_amx();
  f.amx_int8 = f.amx_tile && bit(extended.edx, 25);
  f.amx_bf16 = f.amx_tile && bit(extended.edx, 22);
  return f;
}
#else
CpuFeatures detect() { return {}; }
#endif

std::string read_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// A number at the start of `text`; `missing` when there is none.
long long number(std::string_view text, long long missing) {
  long long value = missing;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

std::vector<int> allowed_cpus() {
  std::vector<int> cpus;
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) == 0) {
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (CPU_ISSET(static_cast<size_t>(cpu), &set)) cpus.push_back(cpu);
    }
  } else {
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
    for (int cpu = 0; cpu < online; ++cpu) cpus.push_back(cpu);
  }
  return cpus;
}

// CPUs' worth of time that the cgroup's quota allows (version 2, then 1); infinity: no quota.
double cgroup_quota() {
  double quota = std::numeric_limits<double>::infinity();
  std::istringstream v2(read_line("/sys/fs/cgroup/cpu.max"));
  std::string limit;
  double period = 0;
  if (v2 >> limit >> period) {
    if (limit != "max" && period > 0) quota = static_cast<double>(number(limit, 0)) / period;
  } else {
    const long long us = number(read_line("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"), -1);
    const long long per = number(read_line("/sys/fs/cgroup/cpu/cpu.cfs_period_us"), 0);
    if (us > 0 && per > 0) quota = static_cast<double>(us) / static_cast<double>(per);
  }
  return quota > 0 ? quota : std::numeric_limits<double>::infinity();
}

int limited_by_quota(size_t count) {
  const double limit = std::ceil(std::min(cgroup_quota(), 4096.0));
  return std::max(1, std::min(static_cast<int>(count), static_cast<int>(limit)));
}

}  // namespace

const CpuFeatures& cpu_features() {
  static const CpuFeatures features = detect();
  return features;
}

std::vector<NamedFeature> named_cpu_features() {
  const CpuFeatures& f = cpu_features();
  return {{"sse4_2", f.sse42},
          {"avx", f.avx},
          {"avx2", f.avx2},
          {"fma", f.fma},
          {"f16c", f.f16c},
          {"bmi2", f.bmi2},
          {"avx_vnni", f.avx_vnni},
          {"avx512f", f.avx512f},
          {"avx512bw", f.avx512bw},
          {"avx512vl", f.avx512vl},
          {"avx512dq", f.avx512dq},
          {"avx512_vnni", f.avx512vnni},
          {"avx512_bf16", f.avx512bf16},
          {"avx512_vbmi", f.avx512vbmi},
          {"amx_tile", f.amx_tile},
          {"amx_int8", f.amx_int8},
          {"amx_bf16", f.amx_bf16}};
}

std::string cpu_model_name() {
  std::ifstream info("/proc/cpuinfo");
  std::string line;
  while (std::getline(info, line)) {
    const size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown";
}

int usable_logical_cpus() { return limited_by_quota(allowed_cpus().size()); }

int usable_physical_cores() {
  std::set<std::pair<long long, long long>> cores;  // (package, core)
  for (const int cpu : allowed_cpus()) {
    const std::string topology = "/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/";
    const long long package = number(read_line(topology + "physical_package_id"), 0);
    // Without a core id every CPU counts as a core of its own.
    const long long core = number(read_line(topology + "core_id"), -1 - cpu);
    cores.insert({package, core});
  }
  return limited_by_quota(cores.size());
}

CacheSizes cache_sizes() {
  CacheSizes sizes;
  for (int index = 0; index < 8; ++index) {
    const std::string cache = "/sys/devices/system/cpu/cpu0/cache/index" + std::to_string(index);
    const long long level = number(read_line(cache + "/level"), 0);
    const long long kib = number(read_line(cache + "/size"), 0);
    const std::string type = read_line(cache + "/type");
    if (level == 0 || kib <= 0 || type == "Instruction") continue;
    const auto bytes = static_cast<size_t>(kib) * 1024;
    if (level == 1) sizes.l1d = bytes;
    if (level == 2) sizes.l2 = bytes;
    if (level == 3) sizes.l3 = bytes;
  }
  return sizes;
}

}  // namespace llmrun
