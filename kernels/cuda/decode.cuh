// Products of few rows: packed weights are read once, units divided among the lanes of a warp.
#pragma once

#include "kernels/cuda/gated.cuh"
#include "kernels/cuda/product_parts.cuh"

namespace llmrun::kernels::cuda {
namespace {  // NOLINT(google-build-namespaces): see device.cuh

constexpr int kDecodeWarps = 4;   // for one product
constexpr int kWarpOutputs = 4;   // outputs that a warp computes together
constexpr int kDecodeBlocks = 8;  // on a multiprocessor: 64 registers a thread, and none spilled
constexpr int kDecodeOutputs = kDecodeWarps * kWarpOutputs;
constexpr int kTermStride = 33;  // odd: lanes that read a column meet different banks
constexpr int kWarpResults = kDecodeRows * kWarpOutputs;
constexpr int kDecodeTerms = kDecodeWarps * kWarpResults * kTermStride;  // floats
static_assert(kWarpResults <= 32);

// The terms of a unit of an output for all rows, kWarpOutputs * kTermStride apart.
template <typename Policy>
__device__ __forceinline__ void float_terms(const ProductParams& p, const ProductJob& job,
                                            const uint8_t* row_of_weights, int unit, float* terms) {
  const int64_t begin = static_cast<int64_t>(unit) * kUnitSize;
  const int64_t end = min(begin + kUnitSize, p.weight.n_in);
  float term[kDecodeRows] = {};
  for (int64_t i = begin; i < end; ++i) {
    const float value = float_value<Policy>(row_of_weights, i);
    for (int row = 0; row < job.count; ++row) {
      term[row] = fmaf(value, float_row(p, job, row)[i], term[row]);
    }
  }
  for (int row = 0; row < job.count; ++row) terms[row * kWarpOutputs * kTermStride] = term[row];
}
template <typename Policy>
__device__ __forceinline__ void block_terms(const ProductParams& p, const ProductJob& job,
                                            const uint8_t* row_of_weights, int unit, float* terms) {
  Unit w;
  get_unit<Policy>(row_of_weights, unit, w);
  for (int row = 0; row < job.count; ++row) {
    const int64_t at =
        quantized_row(p, job, row) * p.weight.n_in + static_cast<int64_t>(unit) * kUnitSize;
    uint32_t q[8];
    load_words<8, 16>(reinterpret_cast<const uint8_t*>(p.rows.q + at), q);
    int s0 = 0;
    int s1 = 0;
    for (int i = 0; i < 4; ++i) {
      s0 = __dp4a(static_cast<int>(w.q[i]), static_cast<int>(q[i]), s0);
      s1 = __dp4a(static_cast<int>(w.q[4 + i]), static_cast<int>(q[4 + i]), s1);
    }
    const Activation32 activation{{p.rows.scales[at / 16], p.rows.scales[at / 16 + 1]},
                                  {p.rows.sums[at / 16], p.rows.sums[at / 16 + 1]}};
    terms[row * kWarpOutputs * kTermStride] =
        unit_term<Policy>(w.scale, w.offset, activation, s0, s1);
  }
}

// Of the outputs from o on: their terms kTermStride apart.
template <typename Policy>
__device__ __forceinline__ void make_terms(const ProductParams& p, const ProductJob& job, int64_t o,
                                           int n_outputs, int unit, float* terms) {
  for (int output = 0; output < n_outputs; ++output) {
    const uint8_t* const row_of_weights = weight_row(p, job, o + output);
    if constexpr (Policy::kIsFloat) {
      float_terms<Policy>(p, job, row_of_weights, unit, terms + output * kTermStride);
    } else {
      block_terms<Policy>(p, job, row_of_weights, unit, terms + output * kTermStride);
    }
  }
}

// A warp computes the outputs from o on for all rows, 32 units at a time: each lane makes the terms
// of its unit, then a lane per result (row * kWarpOutputs + output) adds 32 terms in order.
template <typename Policy>
__device__ __forceinline__ float decode_sum(const ProductParams& p, const ProductJob& job,
                                            int64_t o, float* terms) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int n_outputs = static_cast<int>(
      min(static_cast<int64_t>(kWarpOutputs), p.weight.n_out - o));  // may be negative: none
  const int n_units =
      n_outputs <= 0 ? 0 : static_cast<int>((p.weight.n_in + kUnitSize - 1) / kUnitSize);
  float sum = 0.0F;
  for (int unit0 = 0; unit0 < n_units; unit0 += 32) {
    const int unit = unit0 + lane;
    if (unit < n_units) make_terms<Policy>(p, job, o, n_outputs, unit, terms + lane);
    __syncwarp();
    const int n = min(32, n_units - unit0);
    if (lane < kWarpResults) {
      for (int i = 0; i < n; ++i) sum += terms[lane * kTermStride + i];
    }
    __syncwarp();
  }
  return sum;
}

template <typename Policy>
__global__ void __launch_bounds__(kDecodeWarps * 32, kDecodeBlocks) decode(ProductSet set) {
  int block = 0;
  const ProductParams& p = product_of(set, block);
  SharedMemory shared;
  float* const terms = shared.array<float>(kDecodeTerms);
  const ProductJob job = job_of(p);
  if (job.count == 0) return;  // the whole block
  const int warp = static_cast<int>(threadIdx.x / 32);
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int64_t o = static_cast<int64_t>(block) * kDecodeOutputs + warp * kWarpOutputs;
  const float sum = decode_sum<Policy>(p, job, o, terms + warp * kWarpResults * kTermStride);
  const int row = lane / kWarpOutputs;
  const int64_t output = o + lane % kWarpOutputs;
  if (row < job.count && output < p.weight.n_out) finish(p, job, row, output, sum);
}

// Half of the warps compute the gate, the others what it is multiplied with.
template <typename Policy>
__global__ void __launch_bounds__(2 * kDecodeWarps * 32, kDecodeBlocks / 2)
    decode_gated(GatedPair pair) {
  SharedMemory shared;
  float* const terms = shared.array<float>(2 * kDecodeTerms);
  float* const results = shared.array<float>(2 * kDecodeRows * kDecodeOutputs);
  const int warp = static_cast<int>(threadIdx.x / 32);
  const int lane = static_cast<int>(threadIdx.x % 32);
  const ProductParams& p = pair.products[warp / kDecodeWarps];
  const int at = warp % kDecodeWarps * kWarpOutputs + lane % kWarpOutputs;
  const int64_t o = static_cast<int64_t>(blockIdx.x) * kDecodeOutputs;
  const float sum = decode_sum<Policy>(p, p.job, o + warp % kDecodeWarps * kWarpOutputs,
                                       terms + warp * kWarpResults * kTermStride);
  const int row = lane / kWarpOutputs;
  if (row < p.job.count && o + at < p.weight.n_out) {
    results[(warp / kDecodeWarps * kDecodeRows + row) * kDecodeOutputs + at] =
        result_of(p, p.job, o + at, sum);
  }
  __syncthreads();
  activate_results<kDecodeOutputs>(pair, results);
}

}  // namespace
}  // namespace llmrun::kernels::cuda
