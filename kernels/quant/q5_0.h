// Q5_0: 32 values share a float16 scale; q = 5 bits - 16. The low 4 bits lie as in Q4_0, the fifth
// bit of value i is bit i of the 32-bit word qh. 5.5 bits per value.
#pragma once

#include "kernels/quant/fit.h"
#include "kernels/quant/policy.h"

namespace llmrun::quant {
namespace {  // NOLINT(google-build-namespaces): see "Linkage" in policy.h

struct Q5_0 {
  static constexpr TensorType kType = TensorType::Q5_0;
  static constexpr int kBlockSize = 32;
  static constexpr int kGroupSize = 32;
  static constexpr bool kHasOffset = false;
  static constexpr bool kIsFloat = false;
  static constexpr int kMaxAbs = 16;
  struct Block {
    Half d;
    uint8_t qh[4];
    uint8_t qs[16];
  };
  static_assert(sizeof(Block) == 22);

  static void unpack(const Block& block, int8_t* q, float* scale, float* /*offset*/) {
    scale[0] = block.d.get();
    const uint32_t high = load_u32(block.qh);
    for (int i = 0; i < 16; ++i) {
      const uint32_t bit = (high >> i) & 1U;
      const uint32_t bit16 = (high >> (i + 16)) & 1U;
      q[i] = static_cast<int8_t>(static_cast<int>((block.qs[i] & 15U) | (bit << 4)) - 16);
      q[i + 16] = static_cast<int8_t>(static_cast<int>((block.qs[i] >> 4) | (bit16 << 4)) - 16);
    }
  }

  static void quantize(const float* in, const float* weights, Block& block) {
    int8_t q[32];
    const float d = block.d.set(fit_scale(in, weights, 32, -16, 15));
    round_all(in, 32, d, 0.0F, -16, 15, q);
    uint32_t high = 0;
    for (int i = 0; i < 32; ++i) high |= ((static_cast<uint32_t>(q[i] + 16) >> 4) & 1U) << i;
    store_u32(block.qh, high);
    for (int i = 0; i < 16; ++i) {
      block.qs[i] = static_cast<uint8_t>(((q[i] + 16) & 15) | (((q[i + 16] + 16) & 15) << 4));
    }
  }

  static void dequantize(const Block& block, float* out) { dequantize_by_unpack<Q5_0>(block, out); }
};

}  // namespace
}  // namespace llmrun::quant
