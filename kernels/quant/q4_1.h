// Q4_1: 32 values share a float16 scale and a float16 offset; q = nibble, 0 to 15. Nibbles lie as
// in Q4_0. 5 bits per value.
#pragma once

#include "kernels/quant/fit.h"
#include "kernels/quant/policy.h"

namespace llmrun::quant {
namespace {  // NOLINT(google-build-namespaces): see "Linkage" in policy.h

struct Q4_1 {
  static constexpr TensorType kType = TensorType::Q4_1;
  static constexpr int kBlockSize = 32;
  static constexpr int kGroupSize = 32;
  static constexpr bool kHasOffset = true;
  static constexpr bool kIsFloat = false;
  static constexpr int kMaxAbs = 15;
  struct Block {
    Half d;
    Half m;
    uint8_t qs[16];
  };
  static_assert(sizeof(Block) == 20);

  static void unpack(const Block& block, int8_t* q, float* scale, float* offset) {
    scale[0] = block.d.get();
    offset[0] = block.m.get();
    for (int i = 0; i < 16; ++i) {
      q[i] = static_cast<int8_t>(block.qs[i] & 15);
      q[i + 16] = static_cast<int8_t>(block.qs[i] >> 4);
    }
  }

  static void quantize(const float* in, const float* weights, Block& block) {
    int8_t q[32];
    const Affine fit = fit_affine(in, weights, 32, 15, false);
    const float d = block.d.set(fit.scale);
    const float m = block.m.set(fit.offset);
    round_all(in, 32, d, m, 0, 15, q);
    for (int i = 0; i < 16; ++i) block.qs[i] = static_cast<uint8_t>(q[i] | (q[i + 16] << 4));
  }

  static void dequantize(const Block& block, float* out) { dequantize_by_unpack<Q4_1>(block, out); }
};

}  // namespace
}  // namespace llmrun::quant
