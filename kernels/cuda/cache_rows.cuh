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

// The keys or values of a page for one head, [dim][token] or [token][dim].
struct CacheTile {
  CacheType type;
  const uint8_t* elements;
  const uint8_t* scales;  // of the tokens (int8)
  int64_t dim;
  bool dim_major;
};
__device__ __forceinline__ CacheTile cache_tile(const std::byte* const* pages, CacheType type,
                                                int64_t dim, bool dim_major, int64_t head,
                                                int64_t position) {
  const CacheVector first =
      cache_vector(pages, type, dim, dim_major, head, position / kPageTokens * kPageTokens);
  return {type, first.first, first.scale, dim, dim_major};
}

__device__ __forceinline__ float element_value(CacheType type, const uint8_t* element) {
  switch (type) {
    case CacheType::kF32:
      return float_at(element);
    case CacheType::kF16:
      return float_from_half(word_at(element));
    case CacheType::kBf16:
      return quant::float_from_bf16(word_at(element));
    case CacheType::kFp8E4m3:
      return quant::float_from_e4m3(*element);
    case CacheType::kInt8:
      return static_cast<float>(static_cast<int8_t>(*element));
  }
  return 0.0F;
}

// Four elements that lie side by side, at a multiple of their size, in one load.
__device__ __forceinline__ void four_elements(CacheType type, const uint8_t* from, float* values) {
  if (type == CacheType::kF32) {
    const uint4 words = load_as<uint4>(from);
    values[0] = quant::float_of(words.x);
    values[1] = quant::float_of(words.y);
    values[2] = quant::float_of(words.z);
    values[3] = quant::float_of(words.w);
    return;
  }
  if (type == CacheType::kF16 || type == CacheType::kBf16) {
    const uint2 words = load_as<uint2>(from);
    for (int i = 0; i < 4; ++i) {
      const auto bits = static_cast<uint16_t>((i < 2 ? words.x : words.y) >> (16 * (i % 2)));
      values[i] = type == CacheType::kF16 ? float_from_half(bits) : quant::float_from_bf16(bits);
    }
    return;
  }
  const auto word = load_as<uint32_t>(from);
  for (int i = 0; i < 4; ++i) {
    const auto byte = static_cast<uint8_t>(word >> (8 * i));
    values[i] = type == CacheType::kFp8E4m3 ? quant::float_from_e4m3(byte)
                                            : static_cast<float>(static_cast<int8_t>(byte));
  }
}

// Values of a tile at (dim, key): 4 neighbouring keys where dims are outermost, else 4 dims. Zero
// beyond the dims there are and beyond n_keys.
__device__ __forceinline__ void tile_values(const CacheTile& tile, int64_t dim, int key, int n_keys,
                                            float* values) {
  for (int i = 0; i < 4; ++i) values[i] = 0.0F;
  if (dim >= tile.dim || key >= n_keys) return;
  const int64_t size = element_size(tile.type);
  if (tile.dim_major) {
    four_elements(tile.type, tile.elements + (dim * kPageTokens + key) * size, values);
    for (int i = 0; i < 4; ++i) {
      if (key + i >= n_keys) {
        values[i] = 0.0F;  // whatever lies there
      } else if (tile.type == CacheType::kInt8) {
        values[i] *= float_at(tile.scales + 4 * (key + i));
      }
    }
    return;
  }
  const uint8_t* const from = tile.elements + (key * tile.dim + dim) * size;
  if (tile.dim % 4 == 0) {
    four_elements(tile.type, from, values);
  } else {
    for (int i = 0; i < 4 && dim + i < tile.dim; ++i) {
      values[i] = element_value(tile.type, from + i * size);
    }
  }
  if (tile.type != CacheType::kInt8) return;
  const float scale = float_at(tile.scales + 4 * key);
  for (int i = 0; i < 4; ++i) values[i] *= scale;
}

// Whether the 11 bits that a tensor core takes hold every value.
__device__ __forceinline__ bool fits_tensor_core(CacheType type) {
  return type != CacheType::kF32 && type != CacheType::kInt8;
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
