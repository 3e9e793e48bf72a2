// Products of weights of 16 bits, F16 and BF16, on tensor cores. A float of the activations is the
// sum of parts of 16 bits, so hardly anything is lost: three of BF16, or two of F16 that share a
// power of two with 31 others. As elsewhere every output is summed in one order, by both kernels
// alike: an mma gives the term of 32 values, and terms are added from the first to the last.
//   decode_halves        few rows: weights are read once, units divided among warps
//   decode_gated_halves  the same, of two products and the activation that reads them
//   tile_halves          many rows: weights and parts in shared memory
#pragma once

#include "kernels/cuda/halves.cuh"
#include "kernels/cuda/products.cuh"
#include "kernels/cuda/tile_halves.cuh"

namespace llmrun::kernels::cuda {
namespace {  // NOLINT(google-build-namespaces): see device.cuh

// ---- few rows ----------------------------------------------------------------------------------

constexpr int kHalfStep = 16;  // units that a block takes at a time
constexpr int kHalfStepOfWarp = kHalfStep / kDecodeWarps;

template <int kTiles>
constexpr int kHalfTermStride = kTiles * 16 + 4;  // lanes of an mma meet different banks
template <int kTiles>
constexpr int kHalfTerms = kHalfStep* kDecodeRows* kHalfTermStride<kTiles>;  // floats
constexpr int kHalfThreads = kDecodeWarps * 32;                              // for one product
template <int kTiles>
constexpr int kHalfSums = kDecodeRows* kTiles * 16 / kHalfThreads;  // of a thread

// kHalfThreads threads compute kTiles * 16 outputs from o on: result `thread` + j * kHalfThreads is
// [row][output]. A thread per result adds the terms that all warps made. All threads of the block
// call it, those of another product too, which has as many units.
template <typename Policy, int kTiles>
__device__ __forceinline__ void half_sums(const ProductParams& p, const ProductJob& job, int o,
                                          int thread, float* terms,
                                          float (&sums)[kHalfSums<kTiles>]) {
  constexpr int kOutputs = kTiles * 16;
  constexpr int kStride = kHalfTermStride<kTiles>;
  const int n_rows = job.count;
  const int warp = thread / 32;
  const int g = thread % 32 / 4;
  const int t = thread % 4;
  const int n_in = static_cast<int>(p.weight.n_in);
  const int n_units = (n_in + kUnitSize - 1) / kUnitSize;
  const bool aligned_weights = p.weight.row_bytes % 16 == 0;
  const bool aligned_x = aligned_rows(p);
  const float* const x_row = g < n_rows ? float_row(p, job, g) : nullptr;
  for (float& sum : sums) sum = 0.0F;
  for (int unit0 = 0; unit0 < n_units; unit0 += kHalfStep) {
    EightHalves weights[kHalfStepOfWarp][kTiles][2] = {};
    LLMRUN_UNROLL
    for (int j = 0; j < kHalfStepOfWarp; ++j) {  // all loads before their use
      const int k = (unit0 + j * kDecodeWarps + warp) * kUnitSize + 8 * t;
      LLMRUN_UNROLL
      for (int i = 0; i < 2 * kTiles; ++i) {
        const int output = o + g + 8 * i;
        if (output >= p.weight.n_out) continue;
        weights[j][i / 2][i % 2] =
            weight_halves(weight_row(p, job, output), k, n_in, aligned_weights);
      }
    }
    LLMRUN_UNROLL
    for (int j = 0; j < kHalfStepOfWarp; ++j) {
      const int unit = j * kDecodeWarps + warp;
      if (unit0 + unit >= n_units) break;  // the whole warp
      float x[8];
      row_values(x_row, (unit0 + unit) * kUnitSize + 8 * t, n_in, aligned_x, x);
      const SplitEight<Policy> rows = split<Policy>(x);
      // Scales are those of the lane's own row; its results are of rows 2 t and 2 t + 1.
      const float scale[2] = {__shfl_sync(kAllLanes, rows.scale, 8 * t),
                              __shfl_sync(kAllLanes, rows.scale, 8 * t + 4)};
      LLMRUN_UNROLL
      for (int tile = 0; tile < kTiles; ++tile) {
        float d[4];
        unit_product<Policy>(weights[j][tile][0], weights[j][tile][1], rows.parts, d);
        for (int i = 0; i < 4; ++i) {
          const int row = 2 * t + i % 2;
          if (row >= n_rows) continue;
          terms[(unit * kDecodeRows + row) * kStride + 16 * tile + g + i / 2 * 8] =
              scale[i % 2] * d[i];
        }
      }
    }
    __syncthreads();
    const int n = min(kHalfStep, n_units - unit0);
    for (int j = 0; j < kHalfSums<kTiles>; ++j) {
      const int result = thread + j * kHalfThreads;
      if (result / kOutputs >= n_rows) break;
      const float* const from = terms + result / kOutputs * kStride + result % kOutputs;
      for (int unit = 0; unit < n; ++unit) sums[j] += from[unit * kDecodeRows * kStride];
    }
    __syncthreads();
  }
}

template <typename Policy, int kTiles>
__global__ void __launch_bounds__(kHalfThreads) decode_halves(ProductSet set) {
  int block = 0;
  const ProductParams& p = product_of(set, block);
  constexpr int kOutputs = kTiles * 16;
  SharedMemory shared;
  float* const terms = shared.array<float>(kHalfTerms<kTiles>);
  const ProductJob job = job_of(p);
  if (job.count == 0) return;  // the whole block
  const auto thread = static_cast<int>(threadIdx.x);
  float sums[kHalfSums<kTiles>];
  half_sums<Policy, kTiles>(p, job, block * kOutputs, thread, terms, sums);
  for (int j = 0; j < kHalfSums<kTiles>; ++j) {
    const int result = thread + j * kHalfThreads;
    const int output = block * kOutputs + result % kOutputs;
    if (result / kOutputs < job.count && output < p.weight.n_out) {
      finish(p, job, result / kOutputs, output, sums[j]);
    }
  }
}

// Half of the warps compute the gate, the others what it is multiplied with.
template <typename Policy, int kTiles>
__global__ void __launch_bounds__(2 * kHalfThreads) decode_gated_halves(GatedPair pair) {
  constexpr int kOutputs = kTiles * 16;
  SharedMemory shared;
  float* const terms = shared.array<float>(2 * kHalfTerms<kTiles>);
  float* const results = shared.array<float>(2 * kDecodeRows * kOutputs);
  const int side = static_cast<int>(threadIdx.x) / kHalfThreads;
  const int thread = static_cast<int>(threadIdx.x) % kHalfThreads;
  const ProductParams& p = pair.products[side];
  const int o = static_cast<int>(blockIdx.x) * kOutputs;
  float sums[kHalfSums<kTiles>];
  half_sums<Policy, kTiles>(p, p.job, o, thread, terms + side * kHalfTerms<kTiles>, sums);
  for (int j = 0; j < kHalfSums<kTiles>; ++j) {
    const int result = thread + j * kHalfThreads;
    const int output = o + result % kOutputs;
    if (result / kOutputs < p.job.count && output < p.weight.n_out) {
      results[side * kDecodeRows * kOutputs + result] = result_of(p, p.job, output, sums[j]);
    }
  }
  __syncthreads();
  activate_results<kOutputs>(pair, results);
}

// ---- launching ---------------------------------------------------------------------------------

// Outputs in larger pieces read the rows less often, but few outputs need many blocks.
constexpr int64_t kFewOutputs = 4096;

inline bool fits_halves(const Weight& weight) {
  return weight.n_in <= INT32_MAX / 2 && weight.n_out <= INT32_MAX / 2;
}

template <typename Policy, int kTiles>
cudaError_t launch_decode_halves(const ProductSet& set, Queue& queue) {
  return launch_set(set, kTiles * 16, 1, kHalfThreads, shared_bytes<float>(kHalfTerms<kTiles>),
                    queue, decode_halves<Policy, kTiles>);
}

template <typename Policy>
cudaError_t launch_halves(const ProductSet& set, Queue& queue) {
  int64_t n_out = 0;
  for (int i = 0; i < set.n; ++i) {
    if (!fits_halves(set.products[i].weight)) return cudaErrorInvalidValue;
    n_out += set.products[i].weight.n_out;
  }
  const ProductParams& first = set.products[0];
  if (first.max_count > kDecodeRows) {
    return launch_set(set, kHalfTileOutputs, blocks_for(first.max_count, kHalfTileRows),
                      kHalfTileThreads, HalfTile<Policy>::bytes(), queue, tile_halves<Policy>);
  }
  return n_out * first.n_jobs > kFewOutputs ? launch_decode_halves<Policy, 2>(set, queue)
                                            : launch_decode_halves<Policy, 1>(set, queue);
}

template <typename Policy, int kTiles>
cudaError_t launch_gated_tiles(const GatedPair& pair, Queue& queue) {
  constexpr size_t kShared = shared_bytes<float>(2 * kHalfTerms<kTiles>) +
                             shared_bytes<float>(2 * kDecodeRows * kTiles * 16);
  return launch_pair(pair, kTiles * 16, kShared, queue, decode_gated_halves<Policy, kTiles>);
}

template <typename Policy>
cudaError_t launch_gated_halves(const GatedPair& pair, Queue& queue) {
  const Weight& weight = pair.products[0].weight;
  if (!fits_halves(weight)) return cudaErrorInvalidValue;
  return 2 * weight.n_out > kFewOutputs ? launch_gated_tiles<Policy, 2>(pair, queue)
                                        : launch_gated_tiles<Policy, 1>(pair, queue);
}

}  // namespace

#define LLMRUN_HALF_PRODUCTS(type)                                        \
  TypeLaunchers launchers_of_##type() {                                   \
    return {launch_halves<quant::type>, launch_gated_halves<quant::type>, \
            launch_embed_type<quant::type>};                              \
  }

}  // namespace llmrun::kernels::cuda
