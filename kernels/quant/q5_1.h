// Q5_1: 32 values share a float16 scale and a float16 offset; q = 5 bits, 0 to 31. Bits lie as in
// Q5_0. 6 bits per value.
#pragma once

#include "kernels/quant/fit.h"
#include "kernels/quant/policy.h"

namespace llmrun::quant {
namespace {  // NOLINT(google-build-namespaces): see "Linkage" in policy.h

struct Q5_1 {
  static constexpr TensorType kType = TensorType::Q5_1;
  static constexpr int kBlockSize = 32;
  static constexpr int kGroupSize = 32;
  static constexpr bool kHasOffset = true;
  static constexpr bool kIsFloat = false;
  static constexpr int kMaxAbs = 31;
  struct Block {
    Half d;
    Half m;
    uint8_t qh[4];
    uint8_t qs[16];
  };
  static_assert(sizeof(Block) == 24);

  static void unpack(const Block& block, int8_t* q, float* scale, float* offset) {
    scale[0] = block.d.get();
    offset[0] = block.m.get();
    const uint32_t high = load_u32(block.qh);
    for (int i = 0; i < 16; ++i) {
      q[i] = static_cast<int8_t>((block.qs[i] & 15U) | (((high >> i) & 1U) << 4));
      q[i + 16] = static_cast<int8_t>((block.qs[i] >> 4) | (((high >> (i + 16)) & 1U) << 4));
    }
  }

  static void quantize(const float* in, const float* weights, Block& block) {
    int8_t q[32];
    const Affine fit = fit_affine(in, weights, 32, 31, false);
    const float d = block.d.set(fit.scale);
    const float m = block.m.set(fit.offset);
    round_all(in, 32, d, m, 0, 31, q);
    uint32_t high = 0;
    for (int i = 0; i < 32; ++i) high |= (static_cast<uint32_t>(q[i]) >> 4) << i;
    store_u32(block.qh, high);
    for (int i = 0; i < 16; ++i) {
      block.qs[i] = static_cast<uint8_t>((q[i] & 15) | ((q[i + 16] & 15) << 4));
    }
  }

  static void dequantize(const Block& block, float* out) { dequantize_by_unpack<Q5_1>(block, out); }
};

}  // namespace
}  // namespace llmrun::quant
