// TQ2_0: ternary, 256 values share a float16 scale; q = 2 bits - 1 (3 is possible in a file: q =
// 2). Byte 32 h + i holds the values 128 h + 32 k + i, k = 0 to 3, in its bits 2 k. 2.06 bits per
// value.
#pragma once

#include "kernels/quant/fit.h"
#include "kernels/quant/policy.h"

namespace llmrun::quant {
namespace {  // NOLINT(google-build-namespaces): see "Linkage" in policy.h

struct TQ2_0 {
  static constexpr TensorType kType = TensorType::TQ2_0;
  static constexpr int kBlockSize = kSuperBlock;
  static constexpr int kGroupSize = 32;
  static constexpr bool kHasOffset = false;
  static constexpr bool kIsFloat = false;
  static constexpr int kMaxAbs = 2;
  struct Block {
    uint8_t qs[64];
    Half d;
  };
  static_assert(sizeof(Block) == 66);

  static void unpack(const Block& block, int8_t* q, float* scale, float* /*offset*/) {
    for (int g = 0; g < 8; ++g) scale[g] = block.d.get();
    for (int g = 0; g < 8; ++g) {
      const uint8_t* bytes = block.qs + 32 * (g / 4);
      for (int i = 0; i < 32; ++i) {
        q[32 * g + i] = static_cast<int8_t>(((bytes[i] >> (2 * (g % 4))) & 3) - 1);
      }
    }
  }

  static void quantize(const float* in, const float* weights, Block& block) {
    int8_t q[kSuperBlock];
    const float d = block.d.set(fit_scale(in, weights, kSuperBlock, -1, 1));
    round_all(in, kSuperBlock, d, 0.0F, -1, 1, q);
    for (int i = 0; i < 64; ++i) {
      const int8_t* first = q + 128 * (i / 32) + i % 32;
      unsigned byte = 0;
      for (int k = 0; k < 4; ++k) byte |= static_cast<unsigned>(first[32 * k] + 1) << (2 * k);
      block.qs[i] = static_cast<uint8_t>(byte);
    }
  }

  static void dequantize(const Block& block, float* out) {
    dequantize_by_unpack<TQ2_0>(block, out);
  }
};

}  // namespace
}  // namespace llmrun::quant
