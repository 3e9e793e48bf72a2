// IQ4_NL: 32 values share a float16 scale; q = kIq4Values[nibble], nibbles as in Q4_0.
// 4.5 bits per value.
#pragma once

#include "kernels/quant/codebook.h"
#include "kernels/quant/policy.h"

namespace llmrun::quant {
namespace {  // NOLINT(google-build-namespaces): see "Linkage" in policy.h

struct IQ4_NL {
  static constexpr TensorType kType = TensorType::IQ4_NL;
  static constexpr int kBlockSize = 32;
  static constexpr int kGroupSize = 32;
  static constexpr bool kHasOffset = false;
  static constexpr bool kIsFloat = false;
  static constexpr int kMaxAbs = 127;
  struct Block {
    Half d;
    uint8_t qs[16];
  };
  static_assert(sizeof(Block) == 18);

  static void unpack(const Block& block, int8_t* q, float* scale, float* /*offset*/) {
    scale[0] = block.d.get();
    unpack_codes<32>(kIq4Values, block.qs, q);
  }

  static void quantize(const float* in, const float* weights, Block& block) {
    const float d = block.d.set(fit_iq4_scale(in, weights, 32));
    pack_codes<32>(kIq4Values, in, d, block.qs);
  }

  static void dequantize(const Block& block, float* out) {
    dequantize_by_unpack<IQ4_NL>(block, out);
  }
};

}  // namespace
}  // namespace llmrun::quant
