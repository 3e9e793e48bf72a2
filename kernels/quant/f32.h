// F32: IEEE float32, little-endian.
#pragma once

#include "kernels/quant/policy.h"

namespace llmrun::quant {
namespace {  // NOLINT(google-build-namespaces): see "Linkage" in policy.h

struct F32 {
  static constexpr TensorType kType = TensorType::F32;
  static constexpr int kBlockSize = 1;
  static constexpr bool kIsFloat = true;
  struct Block {
    uint8_t bits[4];
  };
  static_assert(sizeof(Block) == 4);

  static void dequantize(const Block& block, float* out) { *out = float_of(load_u32(block.bits)); }
  static void quantize(const float* in, const float* /*weights*/, Block& block) {
    store_u32(block.bits, bits_of(*in));
  }
};

}  // namespace
}  // namespace llmrun::quant
