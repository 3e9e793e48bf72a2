// Measures what the machine can do at best: bytes read per second, and multiply-adds per second in
// registers, float32 and int8, with the instructions of each CPU target. Each loop is a function
// compiled for its instruction set; nothing in them is shared with other code.
#include <immintrin.h>

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

// A loop returns the operations it made (a multiply-add is two); `sink` keeps the result alive.
using Loop = double (*)(int64_t n, float* sink);

// Twelve chains of dependent multiply-adds hide the latency of four to five cycles on two units.
constexpr int kChains = 12;

// The compiler must take each chain's value for unknown, or it would find that all chains compute
// the same and keep one.
#define LLMRUN_UNKNOWN(value) asm volatile("" : "+x"(value))

double plain_f32(int64_t n, float* sink) {
  __m128 sums[kChains];
  for (auto& sum : sums) sum = _mm_set1_ps(1.0F);
  const __m128 a = _mm_set1_ps(0.999F);
  const __m128 b = _mm_set1_ps(0.001F);
  for (int64_t i = 0; i < n; ++i) {
#pragma GCC unroll 12
    for (int c = 0; c < kChains; ++c) {
      sums[c] = _mm_add_ps(_mm_mul_ps(sums[c], a), b);
      LLMRUN_UNKNOWN(sums[c]);
    }
  }
  for (int c = 1; c < kChains; ++c) sums[0] = _mm_add_ps(sums[0], sums[c]);
  *sink = _mm_cvtss_f32(sums[0]);
  return 2.0 * 4 * kChains * static_cast<double>(n);
}

double plain_int8(int64_t n, float* sink) {  // SSE2 multiplies 16-bit values, eight at a time
  __m128i sums[kChains];
  for (auto& sum : sums) sum = _mm_setzero_si128();
  __m128i a = _mm_set1_epi16(3);
  const __m128i b = _mm_set1_epi16(5);
  for (int64_t i = 0; i < n; ++i) {
#pragma GCC unroll 12
    for (int c = 0; c < kChains; ++c) {
      LLMRUN_UNKNOWN(a);
      sums[c] = _mm_add_epi32(sums[c], _mm_madd_epi16(a, b));
      LLMRUN_UNKNOWN(sums[c]);
    }
  }
  for (int c = 1; c < kChains; ++c) sums[0] = _mm_add_epi32(sums[0], sums[c]);
  *sink = static_cast<float>(_mm_cvtsi128_si32(sums[0]));
  return 2.0 * 8 * kChains * static_cast<double>(n);
}

__attribute__((target("avx2,fma"))) double avx2_f32(int64_t n, float* sink) {
  __m256 sums[kChains];
  for (auto& sum : sums) sum = _mm256_set1_ps(1.0F);
  const __m256 a = _mm256_set1_ps(0.999F);
  const __m256 b = _mm256_set1_ps(0.001F);
  for (int64_t i = 0; i < n; ++i) {
#pragma GCC unroll 12
    for (int c = 0; c < kChains; ++c) {
      sums[c] = _mm256_fmadd_ps(sums[c], a, b);
      LLMRUN_UNKNOWN(sums[c]);
    }
  }
  for (int c = 1; c < kChains; ++c) sums[0] = _mm256_add_ps(sums[0], sums[c]);
  *sink = _mm256_cvtss_f32(sums[0]);
  return 2.0 * 8 * kChains * static_cast<double>(n);
}

// Bytes multiplied to 16-bit pairs, pairs added to 32 bits, added to the sum.
__attribute__((target("avx2,fma"))) double avx2_int8(int64_t n, float* sink) {
  __m256i sums[kChains];
  for (auto& sum : sums) sum = _mm256_setzero_si256();
  __m256i a = _mm256_set1_epi8(3);
  const __m256i b = _mm256_set1_epi8(5);
  const __m256i ones = _mm256_set1_epi16(1);
  for (int64_t i = 0; i < n; ++i) {
#pragma GCC unroll 12
    for (int c = 0; c < kChains; ++c) {
      LLMRUN_UNKNOWN(a);
      const __m256i pairs = _mm256_maddubs_epi16(a, b);
      sums[c] = _mm256_add_epi32(sums[c], _mm256_madd_epi16(pairs, ones));
      LLMRUN_UNKNOWN(sums[c]);
    }
  }
  for (int c = 1; c < kChains; ++c) sums[0] = _mm256_add_epi32(sums[0], sums[c]);
  *sink = static_cast<float>(_mm256_cvtsi256_si32(sums[0]));
  return 2.0 * 32 * kChains * static_cast<double>(n);
}

#undef LLMRUN_UNKNOWN
#define LLMRUN_UNKNOWN(value) asm volatile("" : "+v"(value))  // any of the 32 registers

__attribute__((target("avx512f"))) double avx512_f32(int64_t n, float* sink) {
  __m512 sums[kChains];
  for (auto& sum : sums) sum = _mm512_set1_ps(1.0F);
  const __m512 a = _mm512_set1_ps(0.999F);
  const __m512 b = _mm512_set1_ps(0.001F);
  for (int64_t i = 0; i < n; ++i) {
#pragma GCC unroll 12
    for (int c = 0; c < kChains; ++c) {
      sums[c] = _mm512_fmadd_ps(sums[c], a, b);
      LLMRUN_UNKNOWN(sums[c]);
    }
  }
  for (int c = 1; c < kChains; ++c) sums[0] = _mm512_add_ps(sums[0], sums[c]);
  float lanes[16];
  _mm512_storeu_ps(lanes, sums[0]);
  *sink = lanes[0];
  return 2.0 * 16 * kChains * static_cast<double>(n);
}

__attribute__((target("avx512f,avx512bw,avx512vnni"))) double avx512_int8(int64_t n, float* sink) {
  __m512i sums[kChains];
  for (auto& sum : sums) sum = _mm512_setzero_si512();
  const __m512i a = _mm512_set1_epi8(3);
  const __m512i b = _mm512_set1_epi8(5);
  for (int64_t i = 0; i < n; ++i) {
#pragma GCC unroll 12
    for (int c = 0; c < kChains; ++c) {
      sums[c] = _mm512_dpbusd_epi32(sums[c], a, b);
      LLMRUN_UNKNOWN(sums[c]);
    }
  }
  for (int c = 1; c < kChains; ++c) sums[0] = _mm512_add_epi32(sums[0], sums[c]);
  int32_t lanes[16];
  _mm512_storeu_si512(lanes, sums[0]);
  *sink = static_cast<float>(lanes[0]);
  return 2.0 * 64 * kChains * static_cast<double>(n);
}

#undef LLMRUN_UNKNOWN

struct Loops {
  Loop f32;
  Loop int8;
};

// The loops for a target of kernels/cpu: the widest instructions that it and this machine have.
Loops loops_for(std::string_view target) {
  const CpuFeatures& cpu = cpu_features();
  if (target.starts_with("avx512") && cpu.avx512f) {
    return {avx512_f32, cpu.avx512vnni && cpu.avx512bw ? avx512_int8 : avx2_int8};
  }
  if (target.starts_with("avx") && cpu.avx2 && cpu.fma) return {avx2_f32, avx2_int8};
  return {plain_f32, plain_int8};
}

// 1e9 operations per second of all threads; the best of a few tries of some 20 ms.
double giga_per_second(ThreadPool& pool, Loop loop) {
  std::vector<float> sinks(static_cast<size_t>(pool.n_threads()) * 16);
  std::vector<double> operations(static_cast<size_t>(pool.n_threads()));
  double best = 0;
  int64_t n = 20'000;
  for (int attempt = 0; attempt < 12; ++attempt) {
    const auto start = Clock::now();
    pool.run([&](int index, int) {
      const auto i = static_cast<size_t>(index);
      operations[i] = loop(n, &sinks[i * 16]);
    });
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
