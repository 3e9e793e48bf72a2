// IQ2_XS: 16 groups of 16 values. Each 8 values have a 16-bit word: codebook index in the low 9
// bits, 7 sign bits above. Scales s in nibbles. w = d * (2 s + 1) / 8 * q. 2.3125 bits per value.
#pragma once

#include "kernels/quant/iq_common.h"
#include "kernels/quant/policy.h"

namespace llmrun::quant {
namespace {  // NOLINT(google-build-namespaces): see "Linkage" in policy.h

constexpr auto kIq2XsGrid = expand_grid<8, 2>(kIq2XsCodes, kIq2Levels);

struct IQ2_XS {
  static constexpr TensorType kType = TensorType::IQ2_XS;
  static constexpr int kBlockSize = kSuperBlock;
  static constexpr int kGroupSize = 16;
  static constexpr bool kHasOffset = false;
  static constexpr bool kIsFloat = false;
  static constexpr int kMaxAbs = 43;
  struct Block {
    Half d;
    uint8_t qs[64];
    uint8_t scales[8];
  };
  static_assert(sizeof(Block) == 74);

  static void unpack(const Block& block, int8_t* q, float* scale, float* /*offset*/) {
    const float d = block.d.get();
    for (int g = 0; g < 16; ++g) {
      const int s = (block.scales[g / 2] >> (4 * (g % 2))) & 15;
      scale[g] = d * (0.5F + static_cast<float>(s)) * 0.25F;
    }
    for (int v = 0; v < 32; ++v) {
      const uint32_t word = load_u16(block.qs + 2 * v);
      apply_signs(kIq2XsGrid.values[word & 511U], 8, signs_from_7_bits(word >> 9), q + 8 * v);
    }
  }

  struct Coder {
    static constexpr int kGroup = 16;
    static constexpr float kScaleUnit = 0.125F;
    static constexpr int kScaleMax = 15;
    static constexpr float kLargest = 43.0F;
    static float store_d(Block& block, float d) { return block.d.set(d); }
    static void encode(const float* x, const float* w, float inv, int8_t* q) {
      for (int i = 0; i < kGroup; i += 8) encode_vector(kIq2XsGrid, x + i, w + i, inv, true, q + i);
    }
    static void store(Block& block, int g, int s, const float* x, const float* w, float inv) {
      int8_t q[8];
      for (int v = 0; v < 2; ++v) {
        const EncodedVector code = encode_vector(kIq2XsGrid, x + 8 * v, w + 8 * v, inv, true, q);
        store_u16(block.qs + 4 * g + 2 * v,
                  code.entries[0] | (static_cast<uint32_t>(code.signs & 127) << 9));
      }
      block.scales[g / 2] |= static_cast<uint8_t>(s << (4 * (g % 2)));
    }
  };

  static void quantize(const float* in, const float* weights, Block& block) {
    quantize_grid<Coder>(in, weights, block);
  }

  static void dequantize(const Block& block, float* out) {
    dequantize_by_unpack<IQ2_XS>(block, out);
  }
};

}  // namespace
}  // namespace llmrun::quant
