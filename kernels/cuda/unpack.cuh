// From packed blocks to 32 values in registers: the device's form of the policies of kernels/quant,
// each of which has a Unpack in one of the unpack_*.cuh. A value is
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

// Scales of 16 bits lie at even places of all blocks.
__device__ __forceinline__ float half_at(const quant::Half& half) {
  return float_from_half(load_as<uint16_t>(half.bytes));
}
// A word of bytes that lie at a multiple of kAlign.
template <int kAlign>
__device__ __forceinline__ uint32_t load_word(const uint8_t* p) {
  if constexpr (kAlign % 4 == 0) {
    return load_as<uint32_t>(p);
  } else if constexpr (kAlign % 2 == 0) {
    return load_as<uint16_t>(p) | (static_cast<uint32_t>(load_as<uint16_t>(p + 2)) << 16);
  } else {
    return static_cast<uint32_t>(p[0]) | (static_cast<uint32_t>(p[1]) << 8) |
           (static_cast<uint32_t>(p[2]) << 16) | (static_cast<uint32_t>(p[3]) << 24);
  }
}
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
  } else {
    for (int i = 0; i < kWords; ++i) words[i] = load_word<kAlign>(p + 4 * i);
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

}  // namespace
}  // namespace llmrun::kernels::cuda
