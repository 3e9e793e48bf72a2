// What the kernels of products share: the term of 32 values, the rows of a job, the end of a sum.
#pragma once

#include "kernels/cuda/products.h"
#include "kernels/cuda/unpack.cuh"

namespace llmrun::kernels::cuda {
namespace {  // NOLINT(google-build-namespaces): see device.cuh

// The scales and sums of the two halves of 32 activations.
struct Activation32 {
  float scale[2];
  float sum[2];
};

// 32 products: s0 and s1 are the integer sums of the halves.
template <typename Policy>
__device__ __forceinline__ float unit_term(const float* scale, const float* offset,
                                           const Activation32& x, int s0, int s1) {
  float term;
  if constexpr (Policy::kGroupSize == 32) {
    term = scale[0] * fmaf(x.scale[1], static_cast<float>(s1), x.scale[0] * static_cast<float>(s0));
    if constexpr (Policy::kHasOffset) term = fmaf(offset[0], x.sum[0] + x.sum[1], term);
  } else {
    term = scale[0] * (x.scale[0] * static_cast<float>(s0));
    term = fmaf(scale[1], x.scale[1] * static_cast<float>(s1), term);
    if constexpr (Policy::kHasOffset) {
      term = fmaf(offset[0], x.sum[0], term);
      term = fmaf(offset[1], x.sum[1], term);
    }
  }
  return term;
}

// The product that a block works on, and its number among the blocks of that one.
__device__ __forceinline__ const ProductParams& product_of(const ProductSet& set, int& block) {
  block = static_cast<int>(blockIdx.x);
  int i = 0;
  while (block >= set.n_blocks[i]) block -= set.n_blocks[i++];
  return set.products[i];
}
__device__ __forceinline__ ProductJob job_of(const ProductParams& p) {
  if (p.jobs != nullptr) return p.jobs[blockIdx.z];
  ProductJob job = p.job;
  job.matrix = static_cast<int32_t>(blockIdx.z);
  return job;
}
__device__ __forceinline__ int64_t x_row_of(const ProductParams& p, const ProductJob& job, int i) {
  return p.x_rows == nullptr ? job.first + i : p.x_rows[job.first + i];
}
__device__ __forceinline__ int64_t quantized_row(const ProductParams& p, const ProductJob& job,
                                                 int i) {
  const int64_t row = x_row_of(p, job, i);
  return p.n_inner == 1 ? row : row * p.n_inner + job.matrix;
}
__device__ __forceinline__ const float* float_row(const ProductParams& p, const ProductJob& job,
                                                  int i) {
  return p.x + x_row_of(p, job, i) * p.x_stride + job.matrix * p.x_matrix_stride;
}
__device__ __forceinline__ const uint8_t* weight_row(const ProductParams& p, const ProductJob& job,
                                                     int64_t o) {
  return reinterpret_cast<const uint8_t*>(p.weight.data) +
         static_cast<size_t>(job.matrix * p.weight.n_out + o) * p.weight.row_bytes;
}
// Unit `unit` of a row of blocks.
template <typename Policy>
__device__ __forceinline__ void get_unit(const uint8_t* row, int unit, Unit& w) {
  constexpr int kUnits = Policy::kBlockSize / kUnitSize;
  const auto* const blocks = reinterpret_cast<const typename Policy::Block*>(row);
  Unpack<Policy>::get(blocks[unit / kUnits], unit % kUnits, w);
}
// A unit of an output's weights; zeros where there is no such output.
template <typename Policy>
__device__ __forceinline__ Unit weight_unit(const ProductParams& p, const ProductJob& job,
                                            int64_t o, int64_t unit) {
  Unit w = {};
  if (o < p.weight.n_out) get_unit<Policy>(weight_row(p, job, o), static_cast<int>(unit), w);
  return w;
}
// The result of a sum, before what it may be added to.
__device__ __forceinline__ float result_of(const ProductParams& p, const ProductJob& job, int64_t o,
                                           float sum) {
  if (p.scale != nullptr) sum *= p.scale[job.matrix * p.scale_matrix_stride];
  if (p.bias != nullptr) sum += p.bias[job.matrix * p.bias_matrix_stride + o];
  return sum;
}
// Stores it for row i of the job.
__device__ __forceinline__ void finish(const ProductParams& p, const ProductJob& job, int i,
                                       int64_t o, float sum) {
  const int64_t row = p.y_rows == nullptr ? job.first + i : p.y_rows[job.first + i];
  float* const y = p.y + row * p.y_stride + job.matrix * p.y_matrix_stride + o;
  const float result = result_of(p, job, o, sum);
  *y = p.accumulate ? result + *y : result;
}

// Value i of a row of a float type.
template <typename Policy>
__device__ __forceinline__ float float_value(const uint8_t* row, int64_t i) {
  if constexpr (Policy::kType == TensorType::F32) {
    return load_as<float>(row + 4 * i);
  } else if constexpr (Policy::kType == TensorType::F16) {
    return float_from_half(load_as<uint16_t>(row + 2 * i));
  } else {
    return quant::float_from_bf16(load_as<uint16_t>(row + 2 * i));
  }
}

}  // namespace
}  // namespace llmrun::kernels::cuda
