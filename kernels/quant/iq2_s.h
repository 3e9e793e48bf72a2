// IQ2_S: 16 groups of 16 values. Each 8 values v have a 10-bit codebook index (low 8 bits in qs[v],
// high 2 in bits 2 (v % 4) of qh[v / 4]) and a byte of signs. Scales s in nibbles.
// w = d * (2 s + 1) / 8 * q. 2.5625 bits per value.
#pragma once

#include "kernels/quant/iq_common.h"
#include "kernels/quant/policy.h"

namespace llmrun::quant {
namespace {  // NOLINT(google-build-namespaces): see "Linkage" in policy.h

constexpr auto kIq2SGrid = expand_grid<8, 2>(kIq2SCodes, kIq2Levels);

struct IQ2_S {
  static constexpr TensorType kType = TensorType::IQ2_S;
  static constexpr int kBlockSize = kSuperBlock;
  static constexpr int kGroupSize = 16;
  static constexpr bool kHasOffset = false;
  static constexpr bool kIsFloat = false;
  static constexpr int kMaxAbs = 43;
  struct Block {
    Half d;
    uint8_t qs[32];
    uint8_t signs[32];
    uint8_t qh[8];
    uint8_t scales[8];
  };
  static_assert(sizeof(Block) == 82);

  static void unpack(const Block& block, int8_t* q, float* scale, float* /*offset*/) {
    const float d = block.d.get();
    for (int g = 0; g < 16; ++g) {
      const int s = (block.scales[g / 2] >> (4 * (g % 2))) & 15;
      scale[g] = d * (0.5F + static_cast<float>(s)) * 0.25F;
    }
    for (int v = 0; v < 32; ++v) {
      const int entry = block.qs[v] | (((block.qh[v / 4] >> (2 * (v % 4))) & 3) << 8);
      apply_signs(kIq2SGrid.values[entry], 8, block.signs[v], q + 8 * v);
    }
  }

  struct Coder {
    static constexpr int kGroup = 16;
    static constexpr float kScaleUnit = 0.125F;
    static constexpr int kScaleMax = 15;
    static constexpr float kLargest = 43.0F;
    static float store_d(Block& block, float d) { return block.d.set(d); }
    static void encode(const float* x, const float* w, float inv, int8_t* q) {
      for (int i = 0; i < kGroup; i += 8) encode_vector(kIq2SGrid, x + i, w + i, inv, false, q + i);
    }
    static void store(Block& block, int g, int s, const float* x, const float* w, float inv) {
      int8_t q[8];
      for (int k = 0; k < 2; ++k) {
        const int v = 2 * g + k;
        const EncodedVector code = encode_vector(kIq2SGrid, x + 8 * k, w + 8 * k, inv, false, q);
        block.qs[v] = static_cast<uint8_t>(code.entries[0]);
        block.qh[v / 4] |= static_cast<uint8_t>((code.entries[0] >> 8) << (2 * (v % 4)));
        block.signs[v] = code.signs;
      }
      block.scales[g / 2] |= static_cast<uint8_t>(s << (4 * (g % 2)));
    }
  };

  static void quantize(const float* in, const float* weights, Block& block) {
    quantize_grid<Coder>(in, weights, block);
  }

  static void dequantize(const Block& block, float* out) {
    dequantize_by_unpack<IQ2_S>(block, out);
  }
};

}  // namespace
}  // namespace llmrun::quant
