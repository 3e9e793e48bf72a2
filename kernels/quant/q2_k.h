// Q2_K: 16 groups of 16 values; q = 2 bits, 0 to 3; w = d * (scales[g] & 15) * q
// - dmin * (scales[g] >> 4). Byte 32 h + i of qs holds the values 128 h + 32 k + i, k = 0 to 3, in
// its bits 2 k. 2.625 bits per value.
#pragma once

#include "kernels/quant/k_common.h"
#include "kernels/quant/policy.h"

namespace llmrun::quant {
namespace {  // NOLINT(google-build-namespaces): see "Linkage" in policy.h

struct Q2_K {
  static constexpr TensorType kType = TensorType::Q2_K;
  static constexpr int kBlockSize = kSuperBlock;
  static constexpr int kGroupSize = 16;
  static constexpr bool kHasOffset = true;
  static constexpr bool kIsFloat = false;
  static constexpr int kMaxAbs = 3;
  struct Block {
    uint8_t scales[16];
    uint8_t qs[64];
    Half d;
    Half dmin;
  };
  static_assert(sizeof(Block) == 84);

  static void unpack(const Block& block, int8_t* q, float* scale, float* offset) {
    const float d = block.d.get();
    const float dmin = block.dmin.get();
    for (int g = 0; g < 16; ++g) {
      scale[g] = d * static_cast<float>(block.scales[g] & 15);
      offset[g] = -(dmin * static_cast<float>(block.scales[g] >> 4));
    }
    for (int row = 0; row < 8; ++row) {
      const uint8_t* bytes = block.qs + 32 * (row / 4);
      for (int i = 0; i < 32; ++i) {
        q[32 * row + i] = static_cast<int8_t>((bytes[i] >> (2 * (row % 4))) & 3);
      }
    }
  }

  static void quantize(const float* in, const float* weights, Block& block) {
    int8_t q[kSuperBlock];
    uint8_t scales[16];
    uint8_t minimums[16];
    fit_k_affine<16>(in, weights, 3, 15, block.d, block.dmin, scales, minimums, q);
    for (int g = 0; g < 16; ++g) {
      block.scales[g] = static_cast<uint8_t>(scales[g] | (minimums[g] << 4));
    }
    for (int i = 0; i < 64; ++i) {
      const int8_t* first = q + 128 * (i / 32) + i % 32;
      block.qs[i] =
          static_cast<uint8_t>(first[0] | (first[32] << 2) | (first[64] << 4) | (first[96] << 6));
    }
  }

  static void dequantize(const Block& block, float* out) { dequantize_by_unpack<Q2_K>(block, out); }
};

}  // namespace
}  // namespace llmrun::quant
