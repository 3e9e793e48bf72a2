// Q6_K: 16 groups of 16 values; q = 6 bits - 32; w = d * scales[g] * q with int8 scales. In each
// half h of 128 values, byte 64 h + i of ql holds the low nibbles of the values 128 h + i and
// 128 h + 64 + i; byte 32 h + i of qh holds the high 2 bits of 128 h + 32 k + i in its bits 2 k.
// 6.5625 bits per value.
#pragma once

#include "kernels/quant/k_common.h"
#include "kernels/quant/policy.h"

namespace llmrun::quant {
namespace {  // NOLINT(google-build-namespaces): see "Linkage" in policy.h

struct Q6_K {
  static constexpr TensorType kType = TensorType::Q6_K;
  static constexpr int kBlockSize = kSuperBlock;
  static constexpr int kGroupSize = 16;
  static constexpr bool kHasOffset = false;
  static constexpr bool kIsFloat = false;
  static constexpr int kMaxAbs = 32;
  struct Block {
    uint8_t ql[128];
    uint8_t qh[64];
    int8_t scales[16];
    Half d;
  };
  static_assert(sizeof(Block) == 210);

  static void unpack(const Block& block, int8_t* q, float* scale, float* /*offset*/) {
    const float d = block.d.get();
    for (int g = 0; g < 16; ++g) scale[g] = d * static_cast<float>(block.scales[g]);
    for (int row = 0; row < 8; ++row) {  // 32 values each
      const int half = row / 4;
      const int k = row % 4;
      const uint8_t* low = block.ql + 64 * half + 32 * (k % 2);
      const uint8_t* high = block.qh + 32 * half;
      for (int i = 0; i < 32; ++i) {
        const int value = ((low[i] >> (4 * (k / 2))) & 15) | (((high[i] >> (2 * k)) & 3) << 4);
        q[32 * row + i] = static_cast<int8_t>(value - 32);
      }
    }
  }

  static void quantize(const float* in, const float* weights, Block& block) {
    int8_t q[kSuperBlock];
    fit_k_symmetric(in, weights, 16, -32, 31, -128, 127, block.d, block.scales, q);
    for (uint8_t& byte : block.ql) byte = 0;
    for (uint8_t& byte : block.qh) byte = 0;
    for (int i = 0; i < kSuperBlock; ++i) {
      const int half = i / 128;
      const int k = (i / 32) % 4;
      const int value = q[i] + 32;
      block.ql[64 * half + 32 * (k % 2) + i % 32] |=
          static_cast<uint8_t>((value & 15) << (4 * (k / 2)));
      block.qh[32 * half + i % 32] |= static_cast<uint8_t>((value >> 4) << (2 * k));
    }
  }

  static void dequantize(const Block& block, float* out) { dequantize_by_unpack<Q6_K>(block, out); }
};

}  // namespace
}  // namespace llmrun::quant
