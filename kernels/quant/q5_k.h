// Q5_K: as Q4_K with a fifth bit: q = 0 to 31, the fifth bit of value 32 g + i is bit g of qh[i].
// 5.5 bits per value.
#pragma once

#include "kernels/quant/k_common.h"
#include "kernels/quant/policy.h"

namespace llmrun::quant {
namespace {  // NOLINT(google-build-namespaces): see "Linkage" in policy.h

struct Q5_K {
  static constexpr TensorType kType = TensorType::Q5_K;
  static constexpr int kBlockSize = kSuperBlock;
  static constexpr int kGroupSize = 32;
  static constexpr bool kHasOffset = true;
  static constexpr bool kIsFloat = false;
  static constexpr int kMaxAbs = 31;
  struct Block {
    Half d;
    Half dmin;
    PackedScales scales;
    uint8_t qh[32];
    uint8_t qs[128];
  };
  static_assert(sizeof(Block) == 176);

  static void unpack(const Block& block, int8_t* q, float* scale, float* offset) {
    const float d = block.d.get();
    const float dmin = block.dmin.get();
    uint8_t scales[8];
    uint8_t minimums[8];
    block.scales.get(scales, minimums);
    for (int g = 0; g < 8; ++g) {
      scale[g] = d * static_cast<float>(scales[g]);
      offset[g] = -(dmin * static_cast<float>(minimums[g]));
      const uint8_t* bytes = block.qs + 32 * (g / 2);
      for (int i = 0; i < 32; ++i) {
        const int low = (bytes[i] >> (4 * (g % 2))) & 15;
        q[32 * g + i] = static_cast<int8_t>(low | (((block.qh[i] >> g) & 1) << 4));
      }
    }
  }

  static void quantize(const float* in, const float* weights, Block& block) {
    int8_t q[kSuperBlock];
    uint8_t scales[8];
    uint8_t minimums[8];
    fit_k_affine<32>(in, weights, 31, 63, block.d, block.dmin, scales, minimums, q);
    block.scales.set(scales, minimums);
    for (uint8_t& byte : block.qh) byte = 0;
    for (int i = 0; i < kSuperBlock; ++i) {
      block.qh[i % 32] |= static_cast<uint8_t>((q[i] >> 4) << (i / 32));
    }
    for (int i = 0; i < 128; ++i) {
      const int8_t* first = q + 64 * (i / 32) + i % 32;
      block.qs[i] = static_cast<uint8_t>((first[0] & 15) | ((first[32] & 15) << 4));
    }
  }

  static void dequantize(const Block& block, float* out) { dequantize_by_unpack<Q5_K>(block, out); }
};

}  // namespace
}  // namespace llmrun::quant
