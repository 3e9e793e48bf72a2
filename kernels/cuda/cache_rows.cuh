// Values of cached keys and values, in the bytes that kernels/ref writes.
#pragma once

#include "kernels/cuda/device.cuh"
#include "kernels/ops.h"

namespace llmrun::kernels::cuda {
namespace {  // NOLINT(google-build-namespaces): see device.cuh

__device__ __forceinline__ int64_t element_size(CacheType type) {
  if (type == CacheType::kF32) return 4;
  return type == CacheType::kF16 || type == CacheType::kBf16 ? 2 : 1;
}

// The vector of one token within the tile of its head: `dim` values that lie `step` bytes apart,
// and its scale (int8).
struct CacheVector {
  CacheType type;
  uint8_t* scale;
  uint8_t* first;
  int64_t step;
};

// dim_major: a tile is [dim][token], as keys lie that are not values too.
template <typename Byte>
__device__ __forceinline__ CacheVector cache_vector(Byte* const* pages, CacheType type, int64_t dim,
                                                    bool dim_major, int64_t head,
                                                    int64_t position) {
  const int64_t t = position % kPageTokens;
  const int64_t element = element_size(type);
  const int64_t scales =
      type == CacheType::kInt8 ? kPageTokens * static_cast<int64_t>(sizeof(float)) : 0;
  const int64_t tile_bytes = scales + kPageTokens * dim * element;
  std::byte* const page = const_cast<std::byte*>(pages[position / kPageTokens]);
  uint8_t* const tile = reinterpret_cast<uint8_t*>(page) + head * tile_bytes;
  uint8_t* const elements = tile + scales;
  uint8_t* const scale = tile + t * static_cast<int64_t>(sizeof(float));
  if (dim_major) return {type, scale, elements + t * element, kPageTokens * element};
  return {type, scale, elements + t * dim * element, element};
}

// A float at any address: tiles of odd size leave the next one's scales anywhere.
__device__ __forceinline__ float float_at(const uint8_t* p) {
  return quant::float_of(static_cast<uint32_t>(p[0]) | (static_cast<uint32_t>(p[1]) << 8) |
                         (static_cast<uint32_t>(p[2]) << 16) | (static_cast<uint32_t>(p[3]) << 24));
}
__device__ __forceinline__ uint16_t word_at(const uint8_t* p) {
  return static_cast<uint16_t>(p[0] | (p[1] << 8));
}

__device__ __forceinline__ float cache_value(const CacheVector& from, int64_t i) {
  const uint8_t* const element = from.first + i * from.step;
  switch (from.type) {
    case CacheType::kF32:
      return float_at(element);
    case CacheType::kF16:
      return float_from_half(word_at(element));
    case CacheType::kBf16:
      return quant::float_from_bf16(word_at(element));
    case CacheType::kFp8E4m3:
      return quant::float_from_e4m3(*element);
    case CacheType::kInt8:
      return float_at(from.scale) * static_cast<float>(static_cast<int8_t>(*element));
  }
  return 0.0F;
}

__device__ __forceinline__ void store16(uint8_t* p, uint32_t bits) {
  p[0] = static_cast<uint8_t>(bits);
  p[1] = static_cast<uint8_t>(bits >> 8);
}

// A warp writes a vector.
__device__ __forceinline__ void write_cache_vector(const float* values, int64_t dim,
                                                   const CacheVector& to) {
  const auto lane = static_cast<int64_t>(threadIdx.x % 32);
  float inverse = 0.0F;
  if (to.type == CacheType::kInt8) {
    float largest = 0.0F;
    for (int64_t i = lane; i < dim; i += 32) largest = fmaxf(largest, fabsf(values[i]));
    largest = warp_max(largest);
    inverse = largest > 0.0F ? 127.0F / largest : 0.0F;
    const uint32_t scale = quant::bits_of(largest / 127.0F);
    if (lane < 4) to.scale[lane] = static_cast<uint8_t>(scale >> (8 * lane));
  }
  for (int64_t i = lane; i < dim; i += 32) {
    const float value = values[i];
    uint8_t* const element = to.first + i * to.step;
    switch (to.type) {
      case CacheType::kF32:
        store16(element, quant::bits_of(value));
        store16(element + 2, quant::bits_of(value) >> 16);
        break;
      case CacheType::kF16:
        store16(element, quant::f16_from_float(value));
        break;
      case CacheType::kBf16:
        store16(element, quant::bf16_from_float(value));
        break;
      case CacheType::kFp8E4m3:
        *element = quant::e4m3_from_float(value);
        break;
      case CacheType::kInt8:
        *element = static_cast<uint8_t>(static_cast<int8_t>(rintf(value * inverse)));
        break;
    }
  }
}

}  // namespace
}  // namespace llmrun::kernels::cuda
