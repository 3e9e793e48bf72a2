// Q2_0: 64 values share a float16 scale; q = 2 bits - 1, so -1, 0, 1 or 2; four consecutive values
// to a byte, the first in the lowest bits. 2.25 bits per value. Meant for ternary models.
#pragma once

#include "kernels/quant/fit.h"
#include "kernels/quant/policy.h"

namespace llmrun::quant {
namespace {  // NOLINT(google-build-namespaces): see "Linkage" in policy.h

struct Q2_0 {
  static constexpr TensorType kType = TensorType::Q2_0;
  static constexpr int kBlockSize = 64;
  static constexpr int kGroupSize = 32;
  static constexpr bool kHasOffset = false;
  static constexpr bool kIsFloat = false;
  static constexpr int kMaxAbs = 2;
  struct Block {
    Half d;
    uint8_t qs[16];
  };
  static_assert(sizeof(Block) == 18);

  static void unpack(const Block& block, int8_t* q, float* scale, float* /*offset*/) {
    scale[0] = scale[1] = block.d.get();
    for (int i = 0; i < 64; ++i) {
      q[i] = static_cast<int8_t>(((block.qs[i / 4] >> (2 * (i % 4))) & 3) - 1);
    }
  }

  static void quantize(const float* in, const float* weights, Block& block) {
    int8_t q[64];
    const float d = block.d.set(fit_scale(in, weights, 64, -1, 2));
    round_all(in, 64, d, 0.0F, -1, 2, q);
    for (int i = 0; i < 16; ++i) {
      unsigned byte = 0;
      for (int k = 0; k < 4; ++k) byte |= static_cast<unsigned>(q[4 * i + k] + 1) << (2 * k);
      block.qs[i] = static_cast<uint8_t>(byte);
    }
  }

  static void dequantize(const Block& block, float* out) { dequantize_by_unpack<Q2_0>(block, out); }
};

}  // namespace
}  // namespace llmrun::quant
