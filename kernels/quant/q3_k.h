// Q3_K: 16 groups of 16 values; q = 3 bits - 4; w = d * (scale[g] - 32) * q. The low 2 bits lie as
// in Q2_K; the third bit of value 32 k + i is bit k of hmask[i]. Scales have 6 bits: the low 4 of
// scale g in nibble g / 8 of byte g % 8, the high 2 in bits 2 (g / 4) of byte 8 + g % 4.
// 3.4375 bits per value.
#pragma once

#include "kernels/quant/k_common.h"
#include "kernels/quant/policy.h"

namespace llmrun::quant {
namespace {  // NOLINT(google-build-namespaces): see "Linkage" in policy.h

struct Q3_K {
  static constexpr TensorType kType = TensorType::Q3_K;
  static constexpr int kBlockSize = kSuperBlock;
  static constexpr int kGroupSize = 16;
  static constexpr bool kHasOffset = false;
  static constexpr bool kIsFloat = false;
  static constexpr int kMaxAbs = 4;
  struct Block {
    uint8_t hmask[32];
    uint8_t qs[64];
    uint8_t scales[12];
    Half d;
  };
  static_assert(sizeof(Block) == 110);

  static void unpack(const Block& block, int8_t* q, float* scale, float* /*offset*/) {
    const float d = block.d.get();
    for (int g = 0; g < 16; ++g) {
      const int low = (block.scales[g % 8] >> (4 * (g / 8))) & 15;
      const int high = (block.scales[8 + g % 4] >> (2 * (g / 4))) & 3;
      scale[g] = d * static_cast<float>((low | (high << 4)) - 32);
    }
    for (int row = 0; row < 8; ++row) {
      const uint8_t* bytes = block.qs + 32 * (row / 4);
      for (int i = 0; i < 32; ++i) {
        const int low = (bytes[i] >> (2 * (row % 4))) & 3;
        const int high = (block.hmask[i] >> row) & 1;
        q[32 * row + i] = static_cast<int8_t>((low | (high << 2)) - 4);
      }
    }
  }

  static void quantize(const float* in, const float* weights, Block& block) {
    int8_t q[kSuperBlock];
    int8_t scales[16];
    fit_k_symmetric(in, weights, 16, -4, 3, -32, 31, block.d, scales, q);
    for (uint8_t& byte : block.scales) byte = 0;
    for (int g = 0; g < 16; ++g) {
      const int scale = scales[g] + 32;
      block.scales[g % 8] |= static_cast<uint8_t>((scale & 15) << (4 * (g / 8)));
      block.scales[8 + g % 4] |= static_cast<uint8_t>((scale >> 4) << (2 * (g / 4)));
    }
    for (uint8_t& byte : block.hmask) byte = 0;
    for (uint8_t& byte : block.qs) byte = 0;
    for (int i = 0; i < kSuperBlock; ++i) {
      const int row = i / 32;
      const int value = q[i] + 4;
      block.qs[32 * (row / 4) + i % 32] |= static_cast<uint8_t>((value & 3) << (2 * (row % 4)));
      block.hmask[i % 32] |= static_cast<uint8_t>((value >> 2) << row);
    }
  }

  static void dequantize(const Block& block, float* out) { dequantize_by_unpack<Q3_K>(block, out); }
};

}  // namespace
}  // namespace llmrun::quant
