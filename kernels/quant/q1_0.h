// Q1_0: 128 values share a float16 scale; a value is d where its bit is set and -d where not, bits
// in order from the lowest of byte 0. 1.125 bits per value.
#pragma once

#include <math.h>  // NOLINT(modernize-deprecated-headers): plain C functions, see policy.h

#include "kernels/quant/policy.h"

namespace llmrun::quant {
namespace {  // NOLINT(google-build-namespaces): see "Linkage" in policy.h

struct Q1_0 {
  static constexpr TensorType kType = TensorType::Q1_0;
  static constexpr int kBlockSize = 128;
  static constexpr int kGroupSize = 32;
  static constexpr bool kHasOffset = false;
  static constexpr bool kIsFloat = false;
  static constexpr int kMaxAbs = 1;
  struct Block {
    Half d;
    uint8_t qs[16];
  };
  static_assert(sizeof(Block) == 18);

  static void unpack(const Block& block, int8_t* q, float* scale, float* /*offset*/) {
    for (int g = 0; g < 4; ++g) scale[g] = block.d.get();
    for (int i = 0; i < 128; ++i) {
      q[i] = static_cast<int8_t>(((block.qs[i / 8] >> (i % 8)) & 1) * 2 - 1);
    }
  }

  // With the signs given, the weighted mean magnitude is the best scale.
  static void quantize(const float* in, const float* weights, Block& block) {
    double sum = 0.0;
    double sum_of_weights = 0.0;
    for (uint8_t& byte : block.qs) byte = 0;
    for (int i = 0; i < 128; ++i) {
      sum += static_cast<double>(weights[i]) * static_cast<double>(::fabsf(in[i]));
      sum_of_weights += static_cast<double>(weights[i]);
      if (in[i] >= 0.0F) block.qs[i / 8] |= static_cast<uint8_t>(1U << (i % 8));
    }
    block.d.set(static_cast<float>(sum / sum_of_weights));
  }

  static void dequantize(const Block& block, float* out) { dequantize_by_unpack<Q1_0>(block, out); }
};

}  // namespace
}  // namespace llmrun::quant
