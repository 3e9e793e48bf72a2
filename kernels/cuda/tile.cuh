// Products of many rows: weights in shared memory, unpacked once per 32 rows.
#pragma once

#include "kernels/cuda/product_parts.cuh"

namespace llmrun::kernels::cuda {
namespace {  // NOLINT(google-build-namespaces): see device.cuh

constexpr int kTileThreads = 128;
constexpr int kTileOutputs = 64;
constexpr int kTileRows = 32;
constexpr int kTileUnits = 8;                      // 256 values of the inner dimension at a time
constexpr int kTileStride = 32 * kTileUnits + 16;  // bytes; lanes of an mma meet different banks

template <typename Policy>
struct BlockTile {
  int8_t* weights;    // [kTileOutputs][kTileStride]
  float* scales;      // [kTileOutputs][2 * kTileUnits]
  float* offsets;     // the same
  int8_t* rows;       // [kTileRows][kTileStride]
  float* row_scales;  // [kTileRows][2 * kTileUnits]
  float* row_sums;    // the same

  static constexpr size_t bytes() {
    return shared_bytes<int8_t>(kTileOutputs * kTileStride) +
           2 * shared_bytes<float>(kTileOutputs * 2 * kTileUnits) +
           shared_bytes<int8_t>(kTileRows * kTileStride) +
           2 * shared_bytes<float>(kTileRows * 2 * kTileUnits);
  }
  __device__ BlockTile() {
    SharedMemory shared;
    weights = shared.array<int8_t>(kTileOutputs * kTileStride);
    scales = shared.array<float>(kTileOutputs * 2 * kTileUnits);
    offsets = shared.array<float>(kTileOutputs * 2 * kTileUnits);
    rows = shared.array<int8_t>(kTileRows * kTileStride);
    row_scales = shared.array<float>(kTileRows * 2 * kTileUnits);
    row_sums = shared.array<float>(kTileRows * 2 * kTileUnits);
  }

  // Units [unit0, unit0 + n_units) of the outputs from o on; zeros where there are none.
  __device__ void load_weights(const ProductParams& p, const ProductJob& job, int64_t o,
                               int64_t unit0, int n_units) {
    for (int i = static_cast<int>(threadIdx.x); i < kTileOutputs * n_units; i += kTileThreads) {
      const int output = i / n_units;
      const int unit = i % n_units;
      const Unit w = weight_unit<Policy>(p, job, o + output, unit0 + unit);
      auto* const to = reinterpret_cast<uint32_t*>(weights + output * kTileStride + 32 * unit);
      for (int k = 0; k < 8; ++k) to[k] = w.q[k];
      for (int h = 0; h < 2; ++h) {
        scales[(output * kTileUnits + unit) * 2 + h] = w.scale[h];
        offsets[(output * kTileUnits + unit) * 2 + h] = w.offset[h];
      }
    }
  }
  __device__ void load_rows(const ProductParams& p, const ProductJob& job, int first, int n_rows,
                            int64_t unit0, int n_units) {
    for (int i = static_cast<int>(threadIdx.x); i < kTileRows * n_units; i += kTileThreads) {
      const int row = i / n_units;
      const int unit = i % n_units;
      uint32_t q[8] = {};
      Activation32 x = {};
      if (row < n_rows) {
        const int64_t at =
            quantized_row(p, job, first + row) * p.weight.n_in + (unit0 + unit) * kUnitSize;
        load_words<8, 16>(reinterpret_cast<const uint8_t*>(p.rows.q + at), q);
        for (int h = 0; h < 2; ++h) {
          x.scale[h] = p.rows.scales[at / 16 + h];
          x.sum[h] = p.rows.sums[at / 16 + h];
        }
      }
      auto* const to = reinterpret_cast<uint32_t*>(rows + row * kTileStride + 32 * unit);
      for (int k = 0; k < 8; ++k) to[k] = q[k];
      for (int h = 0; h < 2; ++h) {
        row_scales[(row * kTileUnits + unit) * 2 + h] = x.scale[h];
        row_sums[(row * kTileUnits + unit) * 2 + h] = x.sum[h];
      }
    }
  }
};

__device__ __forceinline__ uint32_t tile_word(const int8_t* tile, int row, int byte) {
  return load_as<uint32_t>(tile + row * kTileStride + byte);
}

// A warp computes 16 outputs of 32 rows.
template <typename Policy>
__global__ void __launch_bounds__(kTileThreads) tile_blocks(ProductSet set) {
  int block = 0;
  const ProductParams& p = product_of(set, block);
  constexpr int kColumns = kTileRows / 8;  // fragments of 8 rows
  BlockTile<Policy> tile;
  const ProductJob job = job_of(p);
  const int first = static_cast<int>(blockIdx.y) * kTileRows;
  if (first >= job.count) return;  // the whole block
  const int n_rows = min(kTileRows, job.count - first);
  const int64_t o = static_cast<int64_t>(block) * kTileOutputs;
  const int64_t n_units = p.weight.n_in / kUnitSize;
  const int warp_output = static_cast<int>(threadIdx.x / 32) * 16;
  const int g = static_cast<int>(threadIdx.x % 32) / 4;
  const int t = static_cast<int>(threadIdx.x % 4);
  float sums[kColumns][4] = {};
  for (int64_t unit0 = 0; unit0 < n_units; unit0 += kTileUnits) {
    const int n = static_cast<int>(min(static_cast<int64_t>(kTileUnits), n_units - unit0));
    tile.load_weights(p, job, o, unit0, n);
    tile.load_rows(p, job, first, n_rows, unit0, n);
    __syncthreads();
    for (int unit = 0; unit < n; ++unit) {
      uint32_t a[2][2];
      for (int h = 0; h < 2; ++h) {
        const int byte = 32 * unit + 16 * h + 4 * t;
        a[h][0] = tile_word(tile.weights, warp_output + g, byte);
        a[h][1] = tile_word(tile.weights, warp_output + g + 8, byte);
      }
      for (int column = 0; column < kColumns; ++column) {
        int32_t s[2][4] = {};
        for (int h = 0; h < 2; ++h) {
          const int byte = 32 * unit + 16 * h + 4 * t;
          mma_s8(s[h], a[h], tile_word(tile.rows, 8 * column + g, byte));
        }
        for (int i = 0; i < 4; ++i) {
          const int w = ((warp_output + g + i / 2 * 8) * kTileUnits + unit) * 2;
          const int x = ((8 * column + 2 * t + i % 2) * kTileUnits + unit) * 2;
          const Activation32 activation{{tile.row_scales[x], tile.row_scales[x + 1]},
                                        {tile.row_sums[x], tile.row_sums[x + 1]}};
          sums[column][i] +=
              unit_term<Policy>(tile.scales + w, tile.offsets + w, activation, s[0][i], s[1][i]);
        }
      }
    }
    __syncthreads();
  }
  for (int column = 0; column < kColumns; ++column) {
    for (int i = 0; i < 4; ++i) {
      const int row = 8 * column + 2 * t + i % 2;
      const int64_t output = o + warp_output + g + i / 2 * 8;
      if (row < n_rows && output < p.weight.n_out) {
        finish(p, job, first + row, output, sums[column][i]);
      }
    }
  }
}

constexpr int kFloatStride = kUnitSize + 1;

// A thread computes 4 outputs of 4 rows.
template <typename Policy>
__global__ void __launch_bounds__(kTileThreads) tile_floats(ProductSet set) {
  int block = 0;
  const ProductParams& p = product_of(set, block);
  SharedMemory shared;
  float* const weights = shared.array<float>(kTileOutputs * kFloatStride);
  float* const rows = shared.array<float>(kTileRows * kFloatStride);
  const ProductJob job = job_of(p);
  const int first = static_cast<int>(blockIdx.y) * kTileRows;
  if (first >= job.count) return;  // the whole block
  const int n_rows = min(kTileRows, job.count - first);
  const int64_t o = static_cast<int64_t>(block) * kTileOutputs;
  const int output0 = static_cast<int>(threadIdx.x % 16);  // and 16, 32, 48 further
  const int row0 = static_cast<int>(threadIdx.x / 16);     // and 8, 16, 24 further
  float sums[4][4] = {};
  for (int64_t k0 = 0; k0 < p.weight.n_in; k0 += kUnitSize) {
    const int n = static_cast<int>(min(static_cast<int64_t>(kUnitSize), p.weight.n_in - k0));
    for (int i = static_cast<int>(threadIdx.x); i < kTileOutputs * n; i += kTileThreads) {
      const int64_t output = o + i / n;
      weights[i / n * kFloatStride + i % n] =
          output < p.weight.n_out ? float_value<Policy>(weight_row(p, job, output), k0 + i % n)
                                  : 0.0F;
    }
    for (int i = static_cast<int>(threadIdx.x); i < kTileRows * n; i += kTileThreads) {
      rows[i / n * kFloatStride + i % n] =
          i / n < n_rows ? float_row(p, job, first + i / n)[k0 + i % n] : 0.0F;
    }
    __syncthreads();
    float terms[4][4] = {};
    for (int k = 0; k < n; ++k) {
      float w[4], x[4];
      for (int i = 0; i < 4; ++i) w[i] = weights[(output0 + 16 * i) * kFloatStride + k];
      for (int i = 0; i < 4; ++i) x[i] = rows[(row0 + 8 * i) * kFloatStride + k];
      for (int i = 0; i < 4; ++i) {
        for (int j = 0; j < 4; ++j) terms[i][j] = fmaf(w[i], x[j], terms[i][j]);
      }
    }
    for (int i = 0; i < 4; ++i) {
      for (int j = 0; j < 4; ++j) sums[i][j] += terms[i][j];
    }
    __syncthreads();
  }
  for (int i = 0; i < 4; ++i) {
    for (int j = 0; j < 4; ++j) {
      const int64_t output = o + output0 + 16 * i;
      const int row = row0 + 8 * j;
      if (row < n_rows && output < p.weight.n_out) {
        finish(p, job, first + row, output, sums[i][j]);
      }
    }
  }
}

}  // namespace
}  // namespace llmrun::kernels::cuda
