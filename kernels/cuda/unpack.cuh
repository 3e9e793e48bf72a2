// From packed blocks to 32 values in registers: the device's form of the policies of kernels/quant,
// each of which has a Unpack here or in unpack_small.cuh, unpack_codebook.cuh. A value is
//   scale[i / 16] * q[i] + offset[i / 16]   (kGroupSize 32: scale[0] and offset[0] for all of them)
// with the scales and offsets that Policy::unpack gives, bit for bit.
#pragma once

#include "kernels/cuda/device.cuh"
#include "kernels/quant/all_types.h"

namespace llmrun::kernels::cuda {
namespace {  // NOLINT(google-build-namespaces): see device.cuh

constexpr int kUnitSize = 32;

struct Unit {
  uint32_t q[8];  // int8 values, four to a word, the first lowest
  float scale[2];
  float offset[2];
};

// get(block, u, unit): unit u of the block, values [32 u, 32 u + 32).
template <typename Policy>
struct Unpack;

__device__ __forceinline__ float half_at(const quant::Half& half) {
  return float_from_half(static_cast<uint16_t>(half.bytes[0] | (half.bytes[1] << 8)));
}
__device__ __forceinline__ uint32_t word16_at(const uint8_t* p) {
  return static_cast<uint32_t>(p[0]) | (static_cast<uint32_t>(p[1]) << 8);
}
__device__ __forceinline__ uint32_t word32_at(const uint8_t* p) {
  return word16_at(p) | (word16_at(p + 2) << 16);
}

// kWords words from bytes that lie at a multiple of kAlign.
template <int kWords, int kAlign>
__device__ __forceinline__ void load_words(const uint8_t* p, uint32_t* words) {
  if constexpr (kAlign % 16 == 0 && kWords % 4 == 0) {
    for (int i = 0; i < kWords; i += 4) {
      const uint4 v = load_as<uint4>(p + 4 * i);
      words[i] = v.x;
      words[i + 1] = v.y;
      words[i + 2] = v.z;
      words[i + 3] = v.w;
    }
  } else if constexpr (kAlign % 4 == 0) {
    for (int i = 0; i < kWords; ++i) words[i] = load_as<uint32_t>(p + 4 * i);
  } else if constexpr (kAlign % 2 == 0) {
    for (int i = 0; i < kWords; ++i) {
      const uint32_t low = load_as<uint16_t>(p + 4 * i);
      words[i] = low | (static_cast<uint32_t>(load_as<uint16_t>(p + 4 * i + 2)) << 16);
    }
  } else {
    for (int i = 0; i < kWords; ++i) words[i] = word32_at(p + 4 * i);
  }
}

// Each byte (below 128) less the byte of `less` (128 at most), as int8.
__device__ __forceinline__ uint32_t subtract_bytes(uint32_t bytes, uint32_t less) {
  return ((bytes | 0x80808080U) - less) ^ 0x80808080U;
}
constexpr uint32_t every_byte(uint32_t byte) { return byte * 0x01010101U; }
// Bit i of the lowest four becomes byte i, 0 or 1.
__device__ __forceinline__ uint32_t spread_bits(uint32_t bits) {
  return ((bits & 15U) * 0x00204081U) & 0x01010101U;
}
// Bits 2 i and 2 i + 1 of the lowest eight become byte i.
__device__ __forceinline__ uint32_t spread_pairs(uint32_t byte) {
  return (byte & 3U) | ((byte & 12U) << 6) | ((byte & 48U) << 12) | ((byte & 192U) << 18);
}

// ---- K types -----------------------------------------------------------------------------------

// Scale and minimum g of Q4_K and Q5_K.
__device__ __forceinline__ void packed_scales(const uint8_t* bytes, int g, float d, float dmin,
                                              Unit& unit) {
  const int i = g % 4;
  uint32_t scale = bytes[i] & 63U;
  uint32_t minimum = bytes[i + 4] & 63U;
  if (g >= 4) {
    scale = (bytes[i + 8] & 15U) | ((static_cast<uint32_t>(bytes[i]) >> 6) << 4);
    minimum = (static_cast<uint32_t>(bytes[i + 8]) >> 4) |
              ((static_cast<uint32_t>(bytes[i + 4]) >> 6) << 4);
  }
  unit.scale[0] = d * static_cast<float>(scale);
  unit.offset[0] = -(dmin * static_cast<float>(minimum));
}

template <>
struct Unpack<quant::Q4_K> {
  static __device__ __forceinline__ void get(const quant::Q4_K::Block& b, int u, Unit& unit) {
    packed_scales(b.scales.bytes, u, half_at(b.d), half_at(b.dmin), unit);
    load_words<8, 16>(b.qs + 32 * (u / 2), unit.q);
    for (uint32_t& q : unit.q) q = (q >> (4 * (u % 2))) & 0x0f0f0f0fU;
  }
};

template <>
struct Unpack<quant::Q5_K> {
  static __device__ __forceinline__ void get(const quant::Q5_K::Block& b, int u, Unit& unit) {
    packed_scales(b.scales.bytes, u, half_at(b.d), half_at(b.dmin), unit);
    uint32_t high[8];
    load_words<8, 16>(b.qs + 32 * (u / 2), unit.q);
    load_words<8, 16>(b.qh, high);
    for (int i = 0; i < 8; ++i) {
      unit.q[i] =
          ((unit.q[i] >> (4 * (u % 2))) & 0x0f0f0f0fU) | (((high[i] >> u) & 0x01010101U) << 4);
    }
  }
};

template <>
struct Unpack<quant::Q6_K> {
  static __device__ __forceinline__ void get(const quant::Q6_K::Block& b, int u, Unit& unit) {
    const int k = u % 4;
    uint32_t high[8];
    load_words<8, 2>(b.ql + 64 * (u / 4) + 32 * (k % 2), unit.q);
    load_words<8, 2>(b.qh + 32 * (u / 4), high);
    for (int i = 0; i < 8; ++i) {
      const uint32_t low = (unit.q[i] >> (4 * (k / 2))) & 0x0f0f0f0fU;
      unit.q[i] = subtract_bytes(low | (((high[i] >> (2 * k)) & 0x03030303U) << 4), every_byte(32));
    }
    const float d = half_at(b.d);
    for (int h = 0; h < 2; ++h) unit.scale[h] = d * static_cast<float>(b.scales[2 * u + h]);
  }
};

template <>
struct Unpack<quant::Q3_K> {
  static __device__ __forceinline__ void get(const quant::Q3_K::Block& b, int u, Unit& unit) {
    uint32_t high[8];
    load_words<8, 2>(b.qs + 32 * (u / 4), unit.q);
    load_words<8, 2>(b.hmask, high);
    for (int i = 0; i < 8; ++i) {
      const uint32_t low = (unit.q[i] >> (2 * (u % 4))) & 0x03030303U;
      unit.q[i] = subtract_bytes(low | (((high[i] >> u) & 0x01010101U) << 2), every_byte(4));
    }
    const float d = half_at(b.d);
    for (int h = 0; h < 2; ++h) {
      const int g = 2 * u + h;
      const int low = (b.scales[g % 8] >> (4 * (g / 8))) & 15;
      const int upper = (b.scales[8 + g % 4] >> (2 * (g / 4))) & 3;
      unit.scale[h] = d * static_cast<float>((low | (upper << 4)) - 32);
    }
  }
};

template <>
struct Unpack<quant::Q2_K> {
  static __device__ __forceinline__ void get(const quant::Q2_K::Block& b, int u, Unit& unit) {
    load_words<8, 4>(b.qs + 32 * (u / 4), unit.q);
    for (uint32_t& q : unit.q) q = (q >> (2 * (u % 4))) & 0x03030303U;
    const float d = half_at(b.d);
    const float dmin = half_at(b.dmin);
    for (int h = 0; h < 2; ++h) {
      const uint32_t packed = b.scales[2 * u + h];
      unit.scale[h] = d * static_cast<float>(packed & 15U);
      unit.offset[h] = -(dmin * static_cast<float>(packed >> 4));
    }
  }
};

}  // namespace
}  // namespace llmrun::kernels::cuda
