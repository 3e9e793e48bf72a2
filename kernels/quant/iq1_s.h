// IQ1_S: 8 groups of 32 values. Each 8 values v have an 11-bit codebook index: low 8 bits in qs[v],
// high 3 in bits 3 (v % 4) of the group's 16-bit word in qh; that word's bits 12 to 14 are the
// scale s, bit 15 the shift of the whole group (set: down). w = d * (2 s + 1) / 8 * q.
// 1.5625 bits per value.
#pragma once

#include "kernels/quant/iq1_common.h"
#include "kernels/quant/policy.h"

namespace llmrun::quant {
namespace {  // NOLINT(google-build-namespaces): see "Linkage" in policy.h

struct IQ1_S {
  static constexpr TensorType kType = TensorType::IQ1_S;
  static constexpr int kBlockSize = kSuperBlock;
  static constexpr int kGroupSize = 32;
  static constexpr bool kHasOffset = false;
  static constexpr bool kIsFloat = false;
  static constexpr int kMaxAbs = 9;
  struct Block {
    Half d;
    uint8_t qs[32];
    uint8_t qh[16];
  };
  static_assert(sizeof(Block) == 50);

  static void unpack(const Block& block, int8_t* q, float* scale, float* /*offset*/) {
    const float d = block.d.get();
    for (int g = 0; g < 8; ++g) {
      const int word = load_u16(block.qh + 2 * g);
      scale[g] = d * static_cast<float>(2 * ((word >> 12) & 7) + 1) * 0.125F;
      for (int v = 0; v < 4; ++v) {
        const int entry = block.qs[4 * g + v] | (((word >> (3 * v)) & 7) << 8);
        unpack_iq1_vector(entry, (word & 0x8000) != 0, q + 32 * g + 8 * v);
      }
    }
  }

  struct Coder {
    static constexpr int kGroup = 32;
    static constexpr float kScaleUnit = 0.125F;
    static constexpr int kScaleMax = 7;
    static constexpr float kLargest = 9.0F;
    static float store_d(Block& block, float d) { return block.d.set(d); }
    static void encode(const float* x, const float* w, float inv, int8_t* q) {
      int entries[4];
      encode_iq1(x, w, kGroup, inv, q, entries);
    }
    static void store(Block& block, int g, int s, const float* x, const float* w, float inv) {
      int entries[4];
      int8_t q[kGroup];
      unsigned word = static_cast<unsigned>(s) << 12;
      if (encode_iq1(x, w, kGroup, inv, q, entries)) word |= 0x8000U;
      for (int v = 0; v < 4; ++v) {
        block.qs[4 * g + v] = static_cast<uint8_t>(entries[v]);
        word |= static_cast<unsigned>(entries[v] >> 8) << (3 * v);
      }
      store_u16(block.qh + 2 * g, word);
    }
  };

  static void quantize(const float* in, const float* weights, Block& block) {
    quantize_grid<Coder>(in, weights, block);
  }

  static void dequantize(const Block& block, float* out) {
    dequantize_by_unpack<IQ1_S>(block, out);
  }
};

}  // namespace
}  // namespace llmrun::quant
