// Fragments of weights and activations of 16 bits for tensor cores, and the term of 32 values.
#pragma once

#include "kernels/cuda/product_parts.cuh"

namespace llmrun::kernels::cuda {
namespace {  // NOLINT(google-build-namespaces): see device.cuh

template <typename Policy>
constexpr bool kIsBf16 = Policy::kType == TensorType::BF16;
template <typename Policy>
constexpr int kParts = kIsBf16<Policy> ? 3 : 2;

// Of the 32 values of a unit a lane holds 8 that lie side by side, as 4 words of two: those of its
// lane_in_group(). An mma takes 16 values of a row, in any order that both its matrices have, so
// words 0 and 1 of four lanes are one mma's, and words 2 and 3 the other's.
struct EightHalves {
  uint32_t words[4];
};
template <typename Policy>
struct SplitEight {
  EightHalves parts[kParts<Policy>];
  float scale;  // of all parts
};

__device__ __forceinline__ EightHalves load_halves(const void* from) {
  const uint4 v = load_as<uint4>(from);
  return {{v.x, v.y, v.z, v.w}};
}
__device__ __forceinline__ void store_halves(uint32_t* to, const EightHalves& halves) {
  for (int i = 0; i < 4; ++i) to[i] = halves.words[i];
}

// Values [k, k + 8) of a row of n weights; zeros beyond. `aligned`: rows are multiples of 16 bytes.
__device__ __forceinline__ EightHalves weight_halves(const uint8_t* row, int k, int n,
                                                     bool aligned) {
  if (aligned && k < n) return load_halves(row + 2 * k);
  EightHalves halves{};
  LLMRUN_UNROLL
  for (int i = 0; i < 8; ++i) {
    if (k + i >= n) continue;
    const uint32_t bits = load_as<uint16_t>(row + 2 * (k + i));
    halves.words[i / 2] |= bits << (16 * (i % 2));
  }
  return halves;
}

// The same of a row of floats; null: zeros.
__device__ __forceinline__ void row_values(const float* row, int k, int n, bool aligned,
                                           float (&x)[8]) {
  for (float& value : x) value = 0.0F;
  if (row == nullptr) return;
  if (aligned && k + 8 <= n) {
    for (int i = 0; i < 8; i += 4) {
      const uint4 v = load_as<uint4>(row + k + i);
      x[i] = quant::float_of(v.x);
      x[i + 1] = quant::float_of(v.y);
      x[i + 2] = quant::float_of(v.z);
      x[i + 3] = quant::float_of(v.w);
    }
    return;
  }
  LLMRUN_UNROLL
  for (int i = 0; i < 8; ++i) {
    if (k + i < n) x[i] = row[k + i];
  }
}
__device__ __forceinline__ bool aligned_rows(const ProductParams& p) {
  return reinterpret_cast<uintptr_t>(p.x) % 16 == 0 && p.x_stride % 4 == 0 &&
         p.x_matrix_stride % 4 == 0;
}

// The four lanes of a group hold a unit of one row. All lanes of the warp call it.
template <typename Policy>
__device__ __forceinline__ SplitEight<Policy> split(const float (&x)[8]) {
  SplitEight<Policy> result;
  if constexpr (kIsBf16<Policy>) {
    float rest[8];
    for (int i = 0; i < 8; ++i) rest[i] = x[i];
    for (EightHalves& part : result.parts) {
      for (int i = 0; i < 4; ++i) {
        const uint32_t low = quant::bits_of(rest[2 * i]) & 0xffff0000U;
        const uint32_t high = quant::bits_of(rest[2 * i + 1]) & 0xffff0000U;
        part.words[i] = low >> 16 | high;
        rest[2 * i] -= quant::float_of(low);
        rest[2 * i + 1] -= quant::float_of(high);
      }
    }
    result.scale = 1.0F;
  } else {
    float largest = 0.0F;
    for (const float value : x) largest = fmaxf(largest, fabsf(value));
    largest = fmaxf(largest, __shfl_xor_sync(kAllLanes, largest, 1));
    largest = fmaxf(largest, __shfl_xor_sync(kAllLanes, largest, 2));
    // The power of two that brings the largest value to [2^14, 2^15), where F16 ends soon.
    const uint32_t exponent = max(quant::bits_of(largest) >> 23, 20U);
    const float inverse = quant::float_of((127U + 127U + 14U - exponent) << 23);
    for (int i = 0; i < 4; ++i) {
      const float a = x[2 * i] * inverse;
      const float b = x[2 * i + 1] * inverse;
      result.parts[0].words[i] = two_halves(high_part(a), high_part(b));
      result.parts[1].words[i] = two_halves(a - high_part(a), b - high_part(b));
    }
    result.scale = quant::float_of((exponent - 14U) << 23);
  }
  return result;
}

// The term of a unit: 16 outputs (rows lane_group() and 8 further of the weights) for 8 rows.
template <typename Policy>
__device__ __forceinline__ void unit_product(const EightHalves& top, const EightHalves& bottom,
                                             const EightHalves (&parts)[kParts<Policy>],
                                             float (&d)[4]) {
  for (float& value : d) value = 0.0F;
  LLMRUN_UNROLL
  for (int half = 0; half < 4; half += 2) {
    const uint32_t a[4] = {top.words[half], bottom.words[half], top.words[half + 1],
                           bottom.words[half + 1]};
    LLMRUN_UNROLL
    for (int part = kParts<Policy> - 1; part >= 0; --part) {  // the small ones first
      const uint32_t b[2] = {parts[part].words[half], parts[part].words[half + 1]};
      mma_half<kIsBf16<Policy>>(d, a, b);
    }
  }
}

}  // namespace
}  // namespace llmrun::kernels::cuda
