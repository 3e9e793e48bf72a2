// Q8_0: 32 values share a float16 scale; q = int8, in order. 8.5 bits per value. Quantisers write
// -127 to 127, but a file may hold -128.
#pragma once

#include "kernels/quant/fit.h"
#include "kernels/quant/policy.h"

namespace llmrun::quant {
namespace {  // NOLINT(google-build-namespaces): see "Linkage" in policy.h

struct Q8_0 {
  static constexpr TensorType kType = TensorType::Q8_0;
  static constexpr int kBlockSize = 32;
  static constexpr int kGroupSize = 32;
  static constexpr bool kHasOffset = false;
  static constexpr bool kIsFloat = false;
  static constexpr int kMaxAbs = 128;
  struct Block {
    Half d;
    int8_t qs[32];
  };
  static_assert(sizeof(Block) == 34);

  static void unpack(const Block& block, int8_t* q, float* scale, float* /*offset*/) {
    scale[0] = block.d.get();
    for (int i = 0; i < 32; ++i) q[i] = block.qs[i];
  }

  static void quantize(const float* in, const float* /*weights*/, Block& block) {
    const float d = block.d.set(largest_magnitude(in, 32) / 127.0F);
    round_all(in, 32, d, 0.0F, -127, 127, block.qs);
  }

  static void dequantize(const Block& block, float* out) { dequantize_by_unpack<Q8_0>(block, out); }
};

}  // namespace
}  // namespace llmrun::quant
