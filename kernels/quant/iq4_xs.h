// IQ4_XS: 8 groups of 32 values; w = d * (scale[g] - 32) * kIq4Values[nibble]. Scales have 6 bits:
// the low 4 in nibble g of scales_l, the high 2 in bits 2 g of the 16-bit word scales_h. Each group
// has 16 bytes of nibbles, laid out as in Q4_0. 4.25 bits per value.
#pragma once

#include "kernels/quant/codebook.h"
#include "kernels/quant/policy.h"

namespace llmrun::quant {
namespace {  // NOLINT(google-build-namespaces): see "Linkage" in policy.h

struct IQ4_XS {
  static constexpr TensorType kType = TensorType::IQ4_XS;
  static constexpr int kBlockSize = kSuperBlock;
  static constexpr int kGroupSize = 32;
  static constexpr bool kHasOffset = false;
  static constexpr bool kIsFloat = false;
  static constexpr int kMaxAbs = 127;
  struct Block {
    Half d;
    uint8_t scales_h[2];
    uint8_t scales_l[4];
    uint8_t qs[128];
  };
  static_assert(sizeof(Block) == 136);

  static void unpack(const Block& block, int8_t* q, float* scale, float* /*offset*/) {
    const float d = block.d.get();
    const int high = load_u16(block.scales_h);
    for (int g = 0; g < 8; ++g) {
      const int low = (block.scales_l[g / 2] >> (4 * (g % 2))) & 15;
      scale[g] = d * static_cast<float>((low | (((high >> (2 * g)) & 3) << 4)) - 32);
      unpack_codes<32>(kIq4Values, block.qs + 16 * g, q + 32 * g);
    }
  }

  static void quantize(const float* in, const float* weights, Block& block) {
    float fits[8];
    float group_weights[8];
    for (int g = 0; g < 8; ++g) {
      fits[g] = fit_iq4_scale(in + 32 * g, weights + 32 * g, 32);
      group_weights[g] = sum_of(weights + 32 * g, 32);
    }
    const float d = block.d.set(fit_scale(fits, group_weights, 8, -32, 31));
    unsigned high = 0;
    for (uint8_t& byte : block.scales_l) byte = 0;
    for (int g = 0; g < 8; ++g) {
      const int scale = best_scale(in + 32 * g, weights + 32 * g, d,
                                   round_clamped(fits[g] * inverse(d), -32, 31));
      const unsigned stored = static_cast<unsigned>(scale + 32);
      block.scales_l[g / 2] |= static_cast<uint8_t>((stored & 15U) << (4 * (g % 2)));
      high |= (stored >> 4) << (2 * g);
      pack_codes<32>(kIq4Values, in + 32 * g, d * static_cast<float>(scale), block.qs + 16 * g);
    }
    store_u16(block.scales_h, high);
  }

  // The integer scale around `middle` with the least error.
  static int best_scale(const float* x, const float* w, float d, int middle) {
    int best = middle;
    double best_error = codebook_error(kIq4Values, x, w, 32, d * static_cast<float>(middle));
    const int others[2] = {middle - 1, middle + 1};
    for (const int scale : others) {
      if (scale < -32 || scale > 31) continue;
      const double error = codebook_error(kIq4Values, x, w, 32, d * static_cast<float>(scale));
      if (error < best_error) {
        best_error = error;
        best = scale;
      }
    }
    return best;
  }

  static void dequantize(const Block& block, float* out) {
    dequantize_by_unpack<IQ4_XS>(block, out);
  }
};

}  // namespace
}  // namespace llmrun::quant
