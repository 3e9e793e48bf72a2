// Unpacking of the types with blocks of 32 to 128 values, and of the ternary types.
#pragma once

#include "kernels/cuda/unpack.cuh"

namespace llmrun::kernels::cuda {
namespace {  // NOLINT(google-build-namespaces): see device.cuh

// 32 nibbles: byte i holds value i (low) and i + 16 (high).
template <int kAlign>
__device__ __forceinline__ void load_nibbles(const uint8_t* bytes, uint32_t* q) {
  load_words<4, kAlign>(bytes, q);
  for (int i = 0; i < 4; ++i) {
    q[4 + i] = (q[i] >> 4) & 0x0f0f0f0fU;
    q[i] &= 0x0f0f0f0fU;
  }
}
// Bit i of `bits` is bit 4 of value i.
__device__ __forceinline__ void add_fifth_bits(uint32_t bits, uint32_t* q) {
  for (int i = 0; i < 8; ++i) q[i] |= spread_bits(bits >> (4 * i)) << 4;
}
__device__ __forceinline__ void subtract_all(uint32_t* q, uint32_t less) {
  for (int i = 0; i < 8; ++i) q[i] = subtract_bytes(q[i], every_byte(less));
}

template <>
struct Unpack<quant::Q4_0> {
  static __device__ __forceinline__ void get(const quant::Q4_0::Block& b, int, Unit& unit) {
    unit.scale[0] = half_at(b.d);
    load_nibbles<2>(b.qs, unit.q);
    subtract_all(unit.q, 8);
  }
};

template <>
struct Unpack<quant::Q4_1> {
  static __device__ __forceinline__ void get(const quant::Q4_1::Block& b, int, Unit& unit) {
    unit.scale[0] = half_at(b.d);
    unit.offset[0] = half_at(b.m);
    load_nibbles<4>(b.qs, unit.q);
  }
};

template <>
struct Unpack<quant::Q5_0> {
  static __device__ __forceinline__ void get(const quant::Q5_0::Block& b, int, Unit& unit) {
    unit.scale[0] = half_at(b.d);
    load_nibbles<2>(b.qs, unit.q);
    add_fifth_bits(load_word<2>(b.qh), unit.q);
    subtract_all(unit.q, 16);
  }
};

template <>
struct Unpack<quant::Q5_1> {
  static __device__ __forceinline__ void get(const quant::Q5_1::Block& b, int, Unit& unit) {
    unit.scale[0] = half_at(b.d);
    unit.offset[0] = half_at(b.m);
    load_nibbles<4>(b.qs, unit.q);
    add_fifth_bits(load_word<4>(b.qh), unit.q);
  }
};

template <>
struct Unpack<quant::Q8_0> {
  static __device__ __forceinline__ void get(const quant::Q8_0::Block& b, int, Unit& unit) {
    unit.scale[0] = half_at(b.d);
    load_words<8, 2>(reinterpret_cast<const uint8_t*>(b.qs), unit.q);
  }
};

template <>
struct Unpack<quant::Q1_0> {
  static __device__ __forceinline__ void get(const quant::Q1_0::Block& b, int u, Unit& unit) {
    unit.scale[0] = half_at(b.d);
    const uint32_t bits = load_word<2>(b.qs + 4 * u);
    for (int i = 0; i < 8; ++i) unit.q[i] = spread_bits(bits >> (4 * i)) << 1;
    subtract_all(unit.q, 1);
  }
};

template <>
struct Unpack<quant::Q2_0> {
  static __device__ __forceinline__ void get(const quant::Q2_0::Block& b, int u, Unit& unit) {
    unit.scale[0] = half_at(b.d);
    uint32_t pairs[2];
    load_words<2, 2>(b.qs + 8 * u, pairs);
    for (int i = 0; i < 8; ++i) unit.q[i] = spread_pairs(pairs[i / 4] >> (8 * (i % 4)));
    subtract_all(unit.q, 1);
  }
};

template <>
struct Unpack<quant::TQ2_0> {
  static __device__ __forceinline__ void get(const quant::TQ2_0::Block& b, int u, Unit& unit) {
    unit.scale[0] = half_at(b.d);
    load_words<8, 2>(b.qs + 32 * (u / 4), unit.q);
    for (uint32_t& q : unit.q) q = (q >> (2 * (u % 4))) & 0x03030303U;
    subtract_all(unit.q, 1);
  }
};

template <>
struct Unpack<quant::TQ1_0> {
  // Digit n of a byte, base 3, the first one most significant.
  static __device__ __forceinline__ uint32_t digit(uint32_t byte, int n) {
    uint32_t power = 1;
    for (int i = 0; i < n; ++i) power *= 3;
    return (((byte * power) & 255U) * 3U) >> 8;
  }
  // Values 0 to 159: digit by digit of 32 bytes; to 239: of 16 bytes; the rest: of 4 bytes.
  static __device__ __forceinline__ uint32_t value(const quant::TQ1_0::Block& b, int i) {
    if (i < 160) return digit(b.qs[i % 32], i / 32);
    if (i < 240) return digit(b.qs[32 + (i - 160) % 16], (i - 160) / 16);
    return digit(b.qh[(i - 240) % 4], (i - 240) / 4);
  }
  static __device__ __forceinline__ void get(const quant::TQ1_0::Block& b, int u, Unit& unit) {
    unit.scale[0] = half_at(b.d);
    for (int i = 0; i < 8; ++i) {
      unit.q[i] = 0;
      for (int k = 0; k < 4; ++k) unit.q[i] |= value(b, 32 * u + 4 * i + k) << (8 * k);
    }
    subtract_all(unit.q, 1);
  }
};

}  // namespace
}  // namespace llmrun::kernels::cuda
