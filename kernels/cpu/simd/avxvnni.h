// AVX-VNNI: AVX2 with the dot product of bytes in one instruction. CPUs that have it only as part
// of AVX-512 (vnni256) run the same code.
#pragma once

#include "kernels/cpu/simd/ymm.h"

namespace llmrun::kernels::cpu {
namespace {  // NOLINT(google-build-namespaces): see ymm.h

struct Simd : Ymm {
  static constexpr bool kAnyUnsigned = true;
  template <int kMaxByte, bool kSigned>
  struct Dot {
    static_assert(!kSigned);
    Words sum;
    void begin(Words start) { sum = start; }
    void add(int, Words w, Words a) {
#ifdef __AVXVNNI__
      sum = _mm256_dpbusd_avx_epi32(sum, w, a);
#else
      sum = _mm256_dpbusd_epi32(sum, w, a);
#endif
    }
    Words total() const { return sum; }
  };
};

}  // namespace
}  // namespace llmrun::kernels::cpu
