// MXFP4 (OCP microscaling): 32 E2M1 values share a power of two (E8M0). Codes lie as in Q4_0;
// q is the doubled value, so scale is half the power. 4.25 bits per value.
// https://www.opencompute.org/documents/ocp-microscaling-formats-mx-v1-0-spec-final-pdf
#pragma once

#include "kernels/quant/codebook.h"
#include "kernels/quant/policy.h"

namespace llmrun::quant {
namespace {  // NOLINT(google-build-namespaces): see "Linkage" in policy.h

struct MXFP4 {
  static constexpr TensorType kType = TensorType::MXFP4;
  static constexpr int kBlockSize = 32;
  static constexpr int kGroupSize = 32;
  static constexpr bool kHasOffset = false;
  static constexpr bool kIsFloat = false;
  static constexpr int kMaxAbs = 12;
  struct Block {
    uint8_t e;
    uint8_t qs[16];
  };
  static_assert(sizeof(Block) == 17);

  static void unpack(const Block& block, int8_t* q, float* scale, float* /*offset*/) {
    scale[0] = half_float_from_e8m0(block.e);
    unpack_codes<32>(kE2m1Values, block.qs, q);
  }

  // Of the powers around the one that just holds the largest value, the one with the least error;
  // 252 at most, so that 12 * 2^(252 - 128) is finite.
  static void quantize(const float* in, const float* weights, Block& block) {
    const int exponent = static_cast<int>(bits_of(largest_magnitude(in, 32)) >> 23);
    double best_error = -1.0;
    for (int e = exponent - 3; e <= exponent; ++e) {
      const uint8_t bits = static_cast<uint8_t>(e < 0 ? 0 : (e > 252 ? 252 : e));
      const double error = codebook_error(kE2m1Values, in, weights, 32, half_float_from_e8m0(bits));
      if (best_error < 0.0 || error < best_error) {
        best_error = error;
        block.e = bits;
      }
    }
    pack_codes<32>(kE2m1Values, in, half_float_from_e8m0(block.e), block.qs);
  }

  static void dequantize(const Block& block, float* out) {
    dequantize_by_unpack<MXFP4>(block, out);
  }
};

}  // namespace
}  // namespace llmrun::quant
