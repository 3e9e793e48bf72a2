// AVX2, FMA and F16C: products of bytes are added in pairs, in 16 bits, and those in 32 bits.
#pragma once

#include "kernels/cpu/simd/ymm.h"

namespace llmrun::kernels::cpu {
namespace {  // NOLINT(google-build-namespaces): see ymm.h

struct Simd : Ymm {
  // Whether Dot takes any unsigned byte; else bytes above 127 need the signed form.
  static constexpr bool kAnyUnsigned = false;
  // The dot product of 16 values in each lane: begin(start), then add(j, w, a) for j = 0 to 3 with
  // four weights and four activations per lane, then total(). Weights are bytes up to kMaxByte, or
  // signed (kSigned); activations are signed.
  template <int kMaxByte, bool kSigned>
  struct Dot {
    // Products of pairs are added in 16 bits as long as no sum can exceed 32767.
    static constexpr int kFits = kSigned ? 1 : 32767 / (2 * 127 * kMaxByte);
    static_assert(kFits >= 1);
    static constexpr int kRun = kFits >= 4 ? 4 : kFits >= 2 ? 2 : 1;
    Words sum;
    Words pairs;
    void begin(Words start) { sum = start; }
    void add(int j, Words w, Words a) {
      const Words product = kSigned
                                ? _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(a, w))
                                : _mm256_maddubs_epi16(w, a);
      pairs = j % kRun == 0 ? product : _mm256_add_epi16(pairs, product);
      // In this order: GCC would add all products as a tree, and run out of registers.
      asm("" : "+x"(pairs));
      if (j % kRun == kRun - 1) {
        sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
      }
    }
    Words total() const { return sum; }
  };
};

}  // namespace
}  // namespace llmrun::kernels::cpu
