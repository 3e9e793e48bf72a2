// Q4_K: 8 groups of 32 values; q = nibble, 0 to 15; w = d * scale[g] * q - dmin * minimum[g], with
// 6-bit scales and minimums (PackedScales). Byte 32 c + i of qs holds value 64 c + i in its low
// nibble and 64 c + 32 + i in its high one: groups 2 c and 2 c + 1. 4.5 bits per value.
#pragma once

#include "kernels/quant/k_common.h"
#include "kernels/quant/policy.h"

namespace llmrun::quant {
namespace {  // NOLINT(google-build-namespaces): see "Linkage" in policy.h

struct Q4_K {
  static constexpr TensorType kType = TensorType::Q4_K;
  static constexpr int kBlockSize = kSuperBlock;
  static constexpr int kGroupSize = 32;
  static constexpr bool kHasOffset = true;
  static constexpr bool kIsFloat = false;
  static constexpr int kMaxAbs = 15;
  struct Block {
    Half d;
    Half dmin;
    PackedScales scales;
    uint8_t qs[128];
  };
  static_assert(sizeof(Block) == 144);

  static void unpack(const Block& block, int8_t* q, float* scale, float* offset) {
    const float d = block.d.get();
    const float dmin = block.dmin.get();
    uint8_t scales[8];
    uint8_t minimums[8];
    block.scales.get(scales, minimums);
    for (int g = 0; g < 8; ++g) {
      scale[g] = d * static_cast<float>(scales[g]);
      offset[g] = -(dmin * static_cast<float>(minimums[g]));
    }
    for (int c = 0; c < 4; ++c) {
      for (int i = 0; i < 32; ++i) {
        q[64 * c + i] = static_cast<int8_t>(block.qs[32 * c + i] & 15);
        q[64 * c + 32 + i] = static_cast<int8_t>(block.qs[32 * c + i] >> 4);
      }
    }
  }

  static void quantize(const float* in, const float* weights, Block& block) {
    int8_t q[kSuperBlock];
    uint8_t scales[8];
    uint8_t minimums[8];
    fit_k_affine<32>(in, weights, 15, 63, block.d, block.dmin, scales, minimums, q);
    block.scales.set(scales, minimums);
    for (int i = 0; i < 128; ++i) {
      const int8_t* first = q + 64 * (i / 32) + i % 32;
      block.qs[i] = static_cast<uint8_t>(first[0] | (first[32] << 4));
    }
  }

  static void dequantize(const Block& block, float* out) { dequantize_by_unpack<Q4_K>(block, out); }
};

}  // namespace
}  // namespace llmrun::quant
