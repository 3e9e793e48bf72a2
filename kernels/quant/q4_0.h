// Q4_0: 32 values share a float16 scale; q = nibble - 8. Byte i holds value i in its low nibble
// and value i + 16 in its high one. 4.5 bits per value.
#pragma once

#include "kernels/quant/fit.h"
#include "kernels/quant/policy.h"

namespace llmrun::quant {
namespace {  // NOLINT(google-build-namespaces): see "Linkage" in policy.h

struct Q4_0 {
  static constexpr TensorType kType = TensorType::Q4_0;
  static constexpr int kBlockSize = 32;
  static constexpr int kGroupSize = 32;
  static constexpr bool kHasOffset = false;
  static constexpr bool kIsFloat = false;
  static constexpr int kMaxAbs = 8;
  struct Block {
    Half d;
    uint8_t qs[16];
  };
  static_assert(sizeof(Block) == 18);

  static void unpack(const Block& block, int8_t* q, float* scale, float* /*offset*/) {
    scale[0] = block.d.get();
    for (int i = 0; i < 16; ++i) {
      q[i] = static_cast<int8_t>((block.qs[i] & 15) - 8);
      q[i + 16] = static_cast<int8_t>((block.qs[i] >> 4) - 8);
    }
  }

  static void quantize(const float* in, const float* weights, Block& block) {
    int8_t q[32];
    const float d = block.d.set(fit_scale(in, weights, 32, -8, 7));
    round_all(in, 32, d, 0.0F, -8, 7, q);
    for (int i = 0; i < 16; ++i) {
      block.qs[i] = static_cast<uint8_t>((q[i] + 8) | ((q[i + 16] + 8) << 4));
    }
  }

  static void dequantize(const Block& block, float* out) { dequantize_by_unpack<Q4_0>(block, out); }
};

}  // namespace
}  // namespace llmrun::quant
