// IQ2_XXS: 8 groups of 32 values. Each group has 8 bytes: four codebook indices (8 bits, 8 values
// each), then a 32-bit word with four times 7 sign bits from the bottom and the scale s in its top
// 4 bits. w = d * (2 s + 1) / 8 * q. 2.0625 bits per value.
#pragma once

#include "kernels/quant/iq_common.h"
#include "kernels/quant/policy.h"

namespace llmrun::quant {
namespace {  // NOLINT(google-build-namespaces): see "Linkage" in policy.h

constexpr auto kIq2XxsGrid = expand_grid<8, 2>(kIq2XxsCodes, kIq2Levels);

struct IQ2_XXS {
  static constexpr TensorType kType = TensorType::IQ2_XXS;
  static constexpr int kBlockSize = kSuperBlock;
  static constexpr int kGroupSize = 32;
  static constexpr bool kHasOffset = false;
  static constexpr bool kIsFloat = false;
  static constexpr int kMaxAbs = 43;
  struct Block {
    Half d;
    uint8_t qs[64];
  };
  static_assert(sizeof(Block) == 66);

  static void unpack(const Block& block, int8_t* q, float* scale, float* /*offset*/) {
    const float d = block.d.get();
    for (int g = 0; g < 8; ++g) {
      const uint8_t* bytes = block.qs + 8 * g;
      const uint32_t word = load_u32(bytes + 4);
      scale[g] = d * (0.5F + static_cast<float>(word >> 28)) * 0.25F;
      for (int v = 0; v < 4; ++v) {
        apply_signs(kIq2XxsGrid.values[bytes[v]], 8, signs_from_7_bits(word >> (7 * v)),
                    q + 32 * g + 8 * v);
      }
    }
  }

  struct Coder {
    static constexpr int kGroup = 32;
    static constexpr float kScaleUnit = 0.125F;
    static constexpr int kScaleMax = 15;
    static constexpr float kLargest = 43.0F;
    static float store_d(Block& block, float d) { return block.d.set(d); }
    static void encode(const float* x, const float* w, float inv, int8_t* q) {
      for (int i = 0; i < kGroup; i += 8)
        encode_vector(kIq2XxsGrid, x + i, w + i, inv, true, q + i);
    }
    static void store(Block& block, int g, int s, const float* x, const float* w, float inv) {
      int8_t q[8];
      uint32_t word = static_cast<uint32_t>(s) << 28;
      for (int v = 0; v < 4; ++v) {
        const EncodedVector code = encode_vector(kIq2XxsGrid, x + 8 * v, w + 8 * v, inv, true, q);
        block.qs[8 * g + v] = static_cast<uint8_t>(code.entries[0]);
        word |= static_cast<uint32_t>(code.signs & 127) << (7 * v);
      }
      store_u32(block.qs + 8 * g + 4, word);
    }
  };

  static void quantize(const float* in, const float* weights, Block& block) {
    quantize_grid<Coder>(in, weights, block);
  }

  static void dequantize(const Block& block, float* out) {
    dequantize_by_unpack<IQ2_XXS>(block, out);
  }
};

}  // namespace
}  // namespace llmrun::quant
