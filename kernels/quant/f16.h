// F16: IEEE float16, little-endian. Values beyond 65504 become infinite.
#pragma once

#include "kernels/quant/policy.h"

namespace llmrun::quant {
namespace {  // NOLINT(google-build-namespaces): see "Linkage" in policy.h

struct F16 {
  static constexpr TensorType kType = TensorType::F16;
  static constexpr int kBlockSize = 1;
  static constexpr bool kIsFloat = true;
  struct Block {
    Half value;
  };
  static_assert(sizeof(Block) == 2);

  static void dequantize(const Block& block, float* out) { *out = block.value.get(); }
  static void quantize(const float* in, const float* /*weights*/, Block& block) {
    block.value.set_bits(f16_from_float(*in));
  }
};

}  // namespace
}  // namespace llmrun::quant
