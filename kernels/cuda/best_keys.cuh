// Values and their columns as integers whose order is that of candidates: larger values first, the
// lower column on a tie; before all, what is no number or +inf.
#pragma once

#include <cstdint>

#include "kernels/cuda/device.cuh"

namespace llmrun::kernels::cuda {
namespace {  // NOLINT(google-build-namespaces): see device.cuh

constexpr uint64_t kNoKey = UINT64_MAX;

// The smallest key is the best one, and keys of a row differ.
__device__ __forceinline__ uint64_t key_of(float value, int64_t column) {
  uint32_t order = 0;  // no number, or +inf
  if (value < INFINITY) {
    const uint32_t bits = value == 0.0F ? 0U : quant::bits_of(value);  // -0 is 0
    const bool negative = (bits >> 31) != 0;
    order = negative ? bits : ~(bits | 0x80000000U);  // as integers of the order wanted
  }
  return (static_cast<uint64_t>(order) << 32) | static_cast<uint32_t>(column);
}

__device__ __forceinline__ int32_t column_of(uint64_t key) {
  return static_cast<int32_t>(key & 0xffffffffU);
}
// Of a key that is a number's.
__device__ __forceinline__ float value_of(uint64_t key) {
  const auto order = static_cast<uint32_t>(key >> 32);
  return quant::float_of((order >> 31) != 0 ? order : ~order & 0x7fffffffU);
}

}  // namespace
}  // namespace llmrun::kernels::cuda
