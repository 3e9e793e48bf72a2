// Unpacking of the K types: blocks of 256 values with scales of their own for 16 or 32 of them.
#pragma once

#include "kernels/cuda/unpack.cuh"

namespace llmrun::kernels::cuda {
namespace {  // NOLINT(google-build-namespaces): see device.cuh

// Scale and minimum g of Q4_K and Q5_K, whose blocks begin with d, dmin and 12 bytes of scales.
template <typename Block>
__device__ __forceinline__ void packed_scales(const Block& block, int g, Unit& unit) {
  uint32_t words[4];
  load_words<4, 16>(reinterpret_cast<const uint8_t*>(&block), words);
  const int shift = 8 * (g % 4);
  const uint32_t first = words[1] >> shift;
  const uint32_t second = words[2] >> shift;
  const uint32_t third = words[3] >> shift;
  uint32_t scale = first & 63U;
  uint32_t minimum = second & 63U;
  if (g >= 4) {
    scale = (third & 15U) | ((first >> 2) & 48U);
    minimum = ((third >> 4) & 15U) | ((second >> 2) & 48U);
  }
  unit.scale[0] = float_from_half(static_cast<uint16_t>(words[0])) * static_cast<float>(scale);
  unit.offset[0] =
      -(float_from_half(static_cast<uint16_t>(words[0] >> 16)) * static_cast<float>(minimum));
}

template <>
struct Unpack<quant::Q4_K> {
  static __device__ __forceinline__ void get(const quant::Q4_K::Block& b, int u, Unit& unit) {
    packed_scales(b, u, unit);
    load_words<8, 16>(b.qs + 32 * (u / 2), unit.q);
    for (uint32_t& q : unit.q) q = (q >> (4 * (u % 2))) & 0x0f0f0f0fU;
  }
};

template <>
struct Unpack<quant::Q5_K> {
  static __device__ __forceinline__ void get(const quant::Q5_K::Block& b, int u, Unit& unit) {
    packed_scales(b, u, unit);
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
