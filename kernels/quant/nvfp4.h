// NVFP4: 4 groups of 16 E2M1 values, each with an unsigned E4M3 scale; q is the doubled value, so
// scale is half of d[g]. Group g has 8 bytes of codes: value i in the low nibble of byte i, value
// i + 8 in its high one. 4.5 bits per value. Files hold one more factor per tensor beside the
// tensor; it is no part of this type, and weights should be brought to a range of about 2000 to
// 0.01 by it before they are quantised.
#pragma once

#include "kernels/quant/codebook.h"
#include "kernels/quant/policy.h"

namespace llmrun::quant {
namespace {  // NOLINT(google-build-namespaces): see "Linkage" in policy.h

struct NVFP4 {
  static constexpr TensorType kType = TensorType::NVFP4;
  static constexpr int kBlockSize = 64;
  static constexpr int kGroupSize = 16;
  static constexpr bool kHasOffset = false;
  static constexpr bool kIsFloat = false;
  static constexpr int kMaxAbs = 12;
  struct Block {
    uint8_t d[4];
    uint8_t qs[32];
  };
  static_assert(sizeof(Block) == 36);

  static void unpack(const Block& block, int8_t* q, float* scale, float* /*offset*/) {
    for (int g = 0; g < 4; ++g) {
      scale[g] = half_scale(block.d[g]);
      unpack_codes<16>(kE2m1Values, block.qs + 8 * g, q + 16 * g);
    }
  }

  // Tries every scale that puts the largest value between the codes 3 and 8 or so, of the range 6.
  static void quantize(const float* in, const float* weights, Block& block) {
    for (int g = 0; g < 4; ++g) {
      const float* x = in + 16 * g;
      const float magnitude = largest_magnitude(x, 16);
      const int first = e4m3_from_float(magnitude / 8.0F);
      const int last = e4m3_from_float(magnitude / 3.0F);
      double best_error = -1.0;
      for (int bits = first; bits <= last; ++bits) {
        const float scale = half_scale(static_cast<uint8_t>(bits));
        const double error = codebook_error(kE2m1Values, x, weights + 16 * g, 16, scale);
        if (best_error < 0.0 || error < best_error) {
          best_error = error;
          block.d[g] = static_cast<uint8_t>(bits);
        }
      }
      pack_codes<16>(kE2m1Values, x, half_scale(block.d[g]), block.qs + 8 * g);
    }
  }

  // Half of the E4M3 value without its sign bit. Code 0x7f (NaN in E4M3) counts as 0; with the
  // sign bit set that exception does not hold, and 0xff is 240 (which no writer produces).
  static constexpr float half_scale(uint8_t bits) {
    if (bits == 0x7f) return 0.0F;
    if (bits == 0xff) return 240.0F;
    return 0.5F * float_from_e4m3(bits & 0x7f);
  }

  static void dequantize(const Block& block, float* out) {
    dequantize_by_unpack<NVFP4>(block, out);
  }
};

}  // namespace
}  // namespace llmrun::quant
