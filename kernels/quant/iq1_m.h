// IQ1_M: 16 groups of 16 values. Each 8 values v have an 11-bit codebook index (low 8 bits in
// qs[v], high 3 in nibble v % 2 of qh[v / 2]) and, in the top bit of that nibble, their own shift
// (set: down). Four 16-bit words in scales: 3 bits per group from the bottom, and in their top
// nibbles, lowest first, the float16 d. w = d * (2 s + 1) / 8 * q. 1.75 bits per value.
#pragma once

#include "kernels/quant/iq1_common.h"
#include "kernels/quant/policy.h"

namespace llmrun::quant {
namespace {  // NOLINT(google-build-namespaces): see "Linkage" in policy.h

struct IQ1_M {
  static constexpr TensorType kType = TensorType::IQ1_M;
  static constexpr int kBlockSize = kSuperBlock;
  static constexpr int kGroupSize = 16;
  static constexpr bool kHasOffset = false;
  static constexpr bool kIsFloat = false;
  static constexpr int kMaxAbs = 9;
  struct Block {
    uint8_t qs[32];
    uint8_t qh[16];
    uint8_t scales[8];
  };
  static_assert(sizeof(Block) == 56);

  static void unpack(const Block& block, int8_t* q, float* scale, float* /*offset*/) {
    const float d = get_d(block);
    for (int g = 0; g < 16; ++g) {
      const int s = (load_u16(block.scales + 2 * (g / 4)) >> (3 * (g % 4))) & 7;
      scale[g] = d * static_cast<float>(2 * s + 1) * 0.125F;
    }
    for (int v = 0; v < 32; ++v) {
      const int nibble = (block.qh[v / 2] >> (4 * (v % 2))) & 15;
      unpack_iq1_vector(block.qs[v] | ((nibble & 7) << 8), (nibble & 8) != 0, q + 8 * v);
    }
  }

  static float get_d(const Block& block) {
    unsigned bits = 0;
    for (int i = 0; i < 4; ++i) {
      bits |= (static_cast<unsigned>(load_u16(block.scales + 2 * i)) >> 12) << (4 * i);
    }
    Half d;
    d.set_bits(static_cast<uint16_t>(bits));
    return d.get();
  }

  struct Coder {
    static constexpr int kGroup = 16;
    static constexpr float kScaleUnit = 0.125F;
    static constexpr int kScaleMax = 7;
    static constexpr float kLargest = 9.0F;
    static float store_d(Block& block, float value) {
      Half d;
      const float stored = d.set(value);
      for (int i = 0; i < 4; ++i) {
        uint8_t* top = block.scales + 2 * i + 1;
        *top = static_cast<uint8_t>((*top & 15) | (((d.bits() >> (4 * i)) & 15) << 4));
      }
      return stored;
    }
    static void encode(const float* x, const float* w, float inv, int8_t* q) {
      int entry;
      for (int i = 0; i < kGroup; i += 8) encode_iq1(x + i, w + i, 8, inv, q + i, &entry);
    }
    static void store(Block& block, int g, int s, const float* x, const float* w, float inv) {
      int8_t q[8];
      for (int k = 0; k < 2; ++k) {
        const int v = 2 * g + k;
        int entry = 0;
        const int shift_down = encode_iq1(x + 8 * k, w + 8 * k, 8, inv, q, &entry) ? 8 : 0;
        block.qs[v] = static_cast<uint8_t>(entry);
        block.qh[v / 2] |= static_cast<uint8_t>(((entry >> 8) | shift_down) << (4 * (v % 2)));
      }
      uint8_t* word = block.scales + 2 * (g / 4);
      store_u16(word, static_cast<unsigned>(load_u16(word) | (s << (3 * (g % 4)))));
    }
  };

  static void quantize(const float* in, const float* weights, Block& block) {
    quantize_grid<Coder>(in, weights, block);
  }

  static void dequantize(const Block& block, float* out) {
    dequantize_by_unpack<IQ1_M>(block, out);
  }
};

}  // namespace
}  // namespace llmrun::quant
