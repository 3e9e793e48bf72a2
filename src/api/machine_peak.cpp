// Measures what the machine can do at best: bytes read per second, and multiply-adds per second in
// registers, float32 and int8, with the instructions of each CPU target.
#include <algorithm>
#include <chrono>
#include <cstring>
#include <functional>
#include <memory>
#include <vector>

#include "base/cpu_features.h"
#include "base/thread_pool.h"
#include "kernels/backend.h"
#include "llmrun/tools.h"

namespace llmrun {
namespace {

using Clock = std::chrono::steady_clock;

// A loop makes n rounds and returns the operations it made (a multiply-add is two).
using Loop = double (*)(int64_t n);

// Written as machine code with named registers: left to the compiler, sums of such loops are kept
// in memory, which is then what is measured. Twelve chains of dependent instructions hide the
// latency of four to five cycles on two units; registers 12 and 13 are the factors, 14 is free.
#define LLMRUN_TWELVE(STEP) \
  STEP(0) STEP(1) STEP(2) STEP(3) STEP(4) STEP(5) STEP(6) STEP(7) STEP(8) STEP(9) STEP(10) STEP(11)
#define LLMRUN_CLEAR(i) "pxor %%xmm" #i ", %%xmm" #i "\n\t"
#define LLMRUN_REGISTERS                                                                   \
  "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", \
      "xmm11", "xmm12", "xmm13", "xmm14"
#define LLMRUN_PEAK_LOOP(name, STEP, operations, END)                                      \
  double name(int64_t n) {                                                                 \
    asm volatile(LLMRUN_TWELVE(LLMRUN_CLEAR) LLMRUN_CLEAR(12) LLMRUN_CLEAR(13)::           \
                     : LLMRUN_REGISTERS);                                                  \
    for (int64_t i = 0; i < n; ++i) asm volatile(LLMRUN_TWELVE(STEP)::: LLMRUN_REGISTERS); \
    asm volatile(END);                                                                     \
    return (operations)*12.0 * static_cast<double>(n);                                     \
  }

#define LLMRUN_STEP(i) "mulps %%xmm12, %%xmm" #i "\n\taddps %%xmm13, %%xmm" #i "\n\t"
LLMRUN_PEAK_LOOP(plain_f32, LLMRUN_STEP, 2 * 4, "")
#undef LLMRUN_STEP
// SSE2 multiplies 16-bit values, eight at a time.
#define LLMRUN_STEP(i) \
  "movdqa %%xmm12, %%xmm14\n\tpmaddwd %%xmm13, %%xmm14\n\tpaddd %%xmm14, %%xmm" #i "\n\t"
LLMRUN_PEAK_LOOP(plain_int8, LLMRUN_STEP, 2 * 8, "")
#undef LLMRUN_STEP
#define LLMRUN_STEP(i) "vfmadd231ps %%ymm12, %%ymm13, %%ymm" #i "\n\t"
LLMRUN_PEAK_LOOP(avx2_f32, LLMRUN_STEP, 2 * 8, "vzeroupper")
#undef LLMRUN_STEP
// Bytes multiplied to 16-bit pairs, pairs added to 32 bits (by a factor of ones), then to the sum.
#define LLMRUN_STEP(i)                                                             \
  "vpmaddubsw %%ymm12, %%ymm13, %%ymm14\n\tvpmaddwd %%ymm13, %%ymm14, %%ymm14\n\t" \
  "vpaddd %%ymm14, %%ymm" #i ", %%ymm" #i "\n\t"
LLMRUN_PEAK_LOOP(avx2_int8, LLMRUN_STEP, 2 * 32, "vzeroupper")
#undef LLMRUN_STEP
#define LLMRUN_STEP(i) "%{vex%} vpdpbusd %%ymm12, %%ymm13, %%ymm" #i "\n\t"
LLMRUN_PEAK_LOOP(avx_vnni_int8, LLMRUN_STEP, 2 * 32, "vzeroupper")
#undef LLMRUN_STEP
#define LLMRUN_STEP(i) "%{evex%} vpdpbusd %%ymm12, %%ymm13, %%ymm" #i "\n\t"
LLMRUN_PEAK_LOOP(vnni256_int8, LLMRUN_STEP, 2 * 32, "vzeroupper")
#undef LLMRUN_STEP
#define LLMRUN_STEP(i) "vfmadd231ps %%zmm12, %%zmm13, %%zmm" #i "\n\t"
LLMRUN_PEAK_LOOP(avx512_f32, LLMRUN_STEP, 2 * 16, "vzeroupper")
#undef LLMRUN_STEP
#define LLMRUN_STEP(i) "vpdpbusd %%zmm12, %%zmm13, %%zmm" #i "\n\t"
LLMRUN_PEAK_LOOP(avx512_int8, LLMRUN_STEP, 2 * 64, "vzeroupper")
#undef LLMRUN_STEP
#undef LLMRUN_PEAK_LOOP

// Tile registers of 16 rows of 64 bytes: four sums, and two factors.
double amx_int8(int64_t n) {
  alignas(64) uint8_t config[64] = {1};  // palette 1; from byte 16 bytes per row, from 48 rows
  for (int tile = 0; tile < 8; ++tile) {
    config[16 + 2 * tile] = 64;
    config[48 + tile] = 16;
  }
  asm volatile("ldtilecfg %0" ::"m"(config));
  asm volatile(
      "tilezero %tmm0\n\ttilezero %tmm1\n\ttilezero %tmm2\n\t"
      "tilezero %tmm3\n\ttilezero %tmm4\n\ttilezero %tmm5");
  for (int64_t i = 0; i < n; ++i) {
    asm volatile(
        "tdpbsud %tmm5, %tmm4, %tmm0\n\ttdpbsud %tmm5, %tmm4, %tmm1\n\t"
        "tdpbsud %tmm5, %tmm4, %tmm2\n\ttdpbsud %tmm5, %tmm4, %tmm3");
  }
  asm volatile("tilerelease");
  return 4.0 * 2 * 16 * 16 * 64 * static_cast<double>(n);
}
#undef LLMRUN_REGISTERS
#undef LLMRUN_CLEAR
#undef LLMRUN_TWELVE

struct Loops {
  Loop f32;
  Loop int8;
};

// The loops for a target of kernels/cpu: the widest instructions that it and this machine have.
Loops loops_for(std::string_view target) {
  const CpuFeatures& cpu = cpu_features();
  if (target == "amx" && cpu.amx_int8) return {avx512_f32, amx_int8};
  if (target.starts_with("avx512") && cpu.avx512f) {
    return {avx512_f32, cpu.avx512vnni && cpu.avx512bw ? avx512_int8 : avx2_int8};
  }
  if (target == "vnni256" && cpu.avx512vl && cpu.avx512vnni && cpu.fma) {
    return {avx2_f32, vnni256_int8};
  }
  if (target == "avxvnni" && cpu.avx_vnni && cpu.fma) return {avx2_f32, avx_vnni_int8};
  if (target.starts_with("avx") && cpu.avx2 && cpu.fma) return {avx2_f32, avx2_int8};
  return {plain_f32, plain_int8};
}

// 1e9 operations per second of all threads; the best of a few tries of some 20 ms.
double giga_per_second(ThreadPool& pool, Loop loop) {
  std::vector<double> operations(static_cast<size_t>(pool.n_threads()));
  double best = 0;
  int64_t n = 20'000;
  for (int attempt = 0; attempt < 12; ++attempt) {
    const auto start = Clock::now();
    pool.run([&](int index, int) { operations[static_cast<size_t>(index)] = loop(n); });
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    double total = 0;
    for (const double each : operations) total += each;
    best = std::max(best, total / seconds * 1e-9);
    if (seconds < 0.02) n *= 2;
  }
  return best;
}

double read_bandwidth(ThreadPool& pool) {
  // Beyond every cache; each thread reads a part of its own in lines of eight words.
  constexpr size_t kWords = (size_t{256} << 20) / sizeof(uint64_t);
  const auto words = std::make_unique<uint64_t[]>(kWords);
  std::vector<uint64_t> sums(static_cast<size_t>(pool.n_threads()) * 8);
  double best = 0;
  for (int attempt = 0; attempt < 5; ++attempt) {
    const auto start = Clock::now();
    pool.run([&](int index, int n_threads) {
      const size_t part = kWords / static_cast<size_t>(n_threads) / 8 * 8;
      const uint64_t* at = words.get() + part * static_cast<size_t>(index);
      uint64_t sum[8] = {};
      for (size_t i = 0; i < part; i += 8) {
        for (size_t j = 0; j < 8; ++j) sum[j] += at[i + j];
      }
      for (const uint64_t each : sum) sums[static_cast<size_t>(index) * 8] += each;
    });
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    best = std::max(best, static_cast<double>(kWords * sizeof(uint64_t)) / seconds * 1e-9);
  }
  return sums[0] == 1 ? 0 : best;  // the sums are 0; looking at them keeps the loop
}

}  // namespace

double measure_read_gigabytes_per_second(int threads) {
  ThreadPool pool(threads > 0 ? threads : usable_physical_cores());
  return read_bandwidth(pool);
}

std::vector<MachinePeak> measure_machine(int threads) {
  const int n = threads > 0 ? threads : usable_physical_cores();
  ThreadPool pool(n);
  const double bandwidth = read_bandwidth(pool);
  std::vector<MachinePeak> peaks;
  for (const kernels::CpuTarget& target : kernels::cpu_targets()) {
    if (!target.available) continue;
    const Loops loops = loops_for(target.name);
    peaks.push_back({std::string(target.name), n, bandwidth, giga_per_second(pool, loops.int8),
                     giga_per_second(pool, loops.f32)});
  }
  std::stable_sort(peaks.begin(), peaks.end(), [](const MachinePeak& a, const MachinePeak& b) {
    return a.f32_gigaflops_per_second > b.f32_gigaflops_per_second;
  });
  return peaks;
}

}  // namespace llmrun
