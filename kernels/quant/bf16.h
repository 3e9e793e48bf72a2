// BF16: the upper half of a float32, little-endian.
#pragma once

#include "kernels/quant/policy.h"

namespace llmrun::quant {
namespace {  // NOLINT(google-build-namespaces): see "Linkage" in policy.h

struct BF16 {
  static constexpr TensorType kType = TensorType::BF16;
  static constexpr int kBlockSize = 1;
  static constexpr bool kIsFloat = true;
  struct Block {
    uint8_t bits[2];
  };
  static_assert(sizeof(Block) == 2);

  static void dequantize(const Block& block, float* out) {
    *out = float_from_bf16(load_u16(block.bits));
  }
  static void quantize(const float* in, const float* /*weights*/, Block& block) {
    store_u16(block.bits, bf16_from_float(*in));
  }
};

}  // namespace
}  // namespace llmrun::quant
