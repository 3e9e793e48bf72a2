// IQ3_S: 8 groups of 32 values. Each 4 values v have a 9-bit codebook index (low 8 bits in qs[v],
// the ninth in bit v % 8 of qh[v / 8]); each 8 values have a byte of signs; scales s in nibbles.
// w = d * (2 s + 1) * q. 3.4375 bits per value.
#pragma once

#include "kernels/quant/iq_common.h"
#include "kernels/quant/policy.h"

namespace llmrun::quant {
namespace {  // NOLINT(google-build-namespaces): see "Linkage" in policy.h

constexpr auto kIq3SGrid = expand_grid<4, 3>(kIq3SCodes, kIq3SLevels);

struct IQ3_S {
  static constexpr TensorType kType = TensorType::IQ3_S;
  static constexpr int kBlockSize = kSuperBlock;
  static constexpr int kGroupSize = 32;
  static constexpr bool kHasOffset = false;
  static constexpr bool kIsFloat = false;
  static constexpr int kMaxAbs = 15;
  struct Block {
    Half d;
    uint8_t qs[64];
    uint8_t qh[8];
    uint8_t signs[32];
    uint8_t scales[4];
  };
  static_assert(sizeof(Block) == 110);

  static void unpack(const Block& block, int8_t* q, float* scale, float* /*offset*/) {
    const float d = block.d.get();
    for (int g = 0; g < 8; ++g) {
      const int s = (block.scales[g / 2] >> (4 * (g % 2))) & 15;
      scale[g] = d * static_cast<float>(1 + 2 * s);
    }
    for (int v = 0; v < 64; ++v) {
      const int entry = block.qs[v] | (((block.qh[v / 8] >> (v % 8)) & 1) << 8);
      const uint32_t signs = static_cast<uint32_t>(block.signs[v / 2]) >> (4 * (v % 2));
      apply_signs(kIq3SGrid.values[entry], 4, signs, q + 4 * v);
    }
  }

  struct Coder {
    static constexpr int kGroup = 32;
    static constexpr float kScaleUnit = 1.0F;
    static constexpr int kScaleMax = 15;
    static constexpr float kLargest = 15.0F;
    static float store_d(Block& block, float d) { return block.d.set(d); }
    static void encode(const float* x, const float* w, float inv, int8_t* q) {
      for (int i = 0; i < kGroup; i += 8) encode_vector(kIq3SGrid, x + i, w + i, inv, false, q + i);
    }
    static void store(Block& block, int g, int s, const float* x, const float* w, float inv) {
      int8_t q[8];
      for (int k = 0; k < 4; ++k) {
        const EncodedVector code = encode_vector(kIq3SGrid, x + 8 * k, w + 8 * k, inv, false, q);
        for (int part = 0; part < 2; ++part) {
          const int v = 8 * g + 2 * k + part;
          block.qs[v] = static_cast<uint8_t>(code.entries[part]);
          block.qh[v / 8] |= static_cast<uint8_t>((code.entries[part] >> 8) << (v % 8));
        }
        block.signs[4 * g + k] = code.signs;
      }
      block.scales[g / 2] |= static_cast<uint8_t>(s << (4 * (g % 2)));
    }
  };

  static void quantize(const float* in, const float* weights, Block& block) {
    quantize_grid<Coder>(in, weights, block);
  }

  static void dequantize(const Block& block, float* out) {
    dequantize_by_unpack<IQ3_S>(block, out);
  }
};

}  // namespace
}  // namespace llmrun::quant
