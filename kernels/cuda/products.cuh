// Products on the device, as templates over the tensor type. Every output is summed in one order,
// by all kernels alike: the exact integer sums of 32 values become one float term, and terms are
// added from the first to the last. So a row's result does not depend on how many rows there are,
// or on which kernel computed it.
//   decode_blocks     few rows: packed weights are read once, dp4a
//   tile_blocks       many rows: weights unpacked to shared memory once per 32 rows, mma.sync
//   decode_floats, tile_floats   the same two for F32, with fma; F16 and BF16: products_half.cuh
#pragma once

#include "kernels/cuda/products.h"
#include "kernels/cuda/unpack.cuh"

namespace llmrun::kernels::cuda {
namespace {  // NOLINT(google-build-namespaces): see device.cuh

// ---- what all product kernels share ------------------------------------------------------------

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
__device__ __forceinline__ void finish(const ProductParams& p, const ProductJob& job, int i,
                                       int64_t o, float sum) {
  if (p.scale != nullptr) sum *= p.scale[job.matrix * p.scale_matrix_stride];
  if (p.bias != nullptr) sum += p.bias[job.matrix * p.bias_matrix_stride + o];
  const int64_t row = p.y_rows == nullptr ? job.first + i : p.y_rows[job.first + i];
  float* const y = p.y + row * p.y_stride + job.matrix * p.y_matrix_stride + o;
  *y = p.accumulate ? sum + *y : sum;
}

// ---- few rows ----------------------------------------------------------------------------------

constexpr int kDecodeRows = 8;  // more rows are the work of tiles
constexpr int kDecodeWarps = 4;
constexpr int kWarpOutputs = 4;  // outputs that a warp computes together
constexpr int kTermStride = 33;  // odd: lanes that read a column meet different banks

// A warp computes kWarpOutputs outputs for up to kDecodeRows rows, 32 units at a time: each lane
// makes the terms of its unit, then a lane per result adds 32 terms in order.
template <typename Terms>
__device__ __forceinline__ void decode(const ProductParams& p, int block, const Terms& make_terms) {
  SharedMemory shared;
  const int warp = static_cast<int>(threadIdx.x / 32);
  const int lane = static_cast<int>(threadIdx.x % 32);
  constexpr int kResults = kDecodeRows * kWarpOutputs;
  static_assert(kResults <= 32);
  float* const all_terms = shared.array<float>(kDecodeWarps * kResults * kTermStride);
  float* const terms = all_terms + warp * kResults * kTermStride;
  const ProductJob job = job_of(p);
  const int n_rows = job.count;
  if (n_rows == 0) return;  // the whole block
  const int64_t o = (static_cast<int64_t>(block) * kDecodeWarps + warp) * kWarpOutputs;
  const int n_outputs = static_cast<int>(
      min(static_cast<int64_t>(kWarpOutputs), p.weight.n_out - o));  // may be negative: none
  if (n_outputs <= 0) return;  // whole warps leave, and no barrier of the block follows
  const int64_t n_units = (p.weight.n_in + kUnitSize - 1) / kUnitSize;
  float sum = 0.0F;
  for (int64_t unit0 = 0; unit0 < n_units; unit0 += 32) {
    const int64_t unit = unit0 + lane;
    if (unit < n_units) make_terms(job, n_rows, o, n_outputs, unit, terms + lane);
    __syncwarp();
    const int n = static_cast<int>(min(static_cast<int64_t>(32), n_units - unit0));
    if (lane < kResults) {
      for (int i = 0; i < n; ++i) sum += terms[lane * kTermStride + i];
    }
    __syncwarp();
  }
  // Lane = row * kWarpOutputs + output.
  const int row = lane / kWarpOutputs;
  const int output = lane % kWarpOutputs;
  if (row < n_rows && output < n_outputs) finish(p, job, row, o + output, sum);
}

template <typename Policy>
__global__ void __launch_bounds__(kDecodeWarps * 32) decode_blocks(ProductSet set) {
  int block = 0;
  const ProductParams& p = product_of(set, block);
  constexpr int kUnits = Policy::kBlockSize / kUnitSize;
  decode(
      p, block,
      [&](const ProductJob& job, int n_rows, int64_t o, int n_outputs, int64_t unit, float* terms) {
        for (int output = 0; output < n_outputs; ++output) {
          const auto* const blocks =
              reinterpret_cast<const typename Policy::Block*>(weight_row(p, job, o + output));
          Unit w;
          Unpack<Policy>::get(blocks[unit / kUnits], static_cast<int>(unit % kUnits), w);
          for (int row = 0; row < n_rows; ++row) {
            const int64_t at = quantized_row(p, job, row) * p.weight.n_in + unit * kUnitSize;
            const auto* const x = reinterpret_cast<const uint8_t*>(p.rows.q + at);
            uint32_t q[8];
            load_words<8, 16>(x, q);
            int s0 = 0;
            int s1 = 0;
            for (int i = 0; i < 4; ++i) {
              s0 = __dp4a(static_cast<int>(w.q[i]), static_cast<int>(q[i]), s0);
              s1 = __dp4a(static_cast<int>(w.q[4 + i]), static_cast<int>(q[4 + i]), s1);
            }
            const Activation32 activation{{p.rows.scales[at / 16], p.rows.scales[at / 16 + 1]},
                                          {p.rows.sums[at / 16], p.rows.sums[at / 16 + 1]}};
            terms[(row * kWarpOutputs + output) * kTermStride] =
                unit_term<Policy>(w.scale, w.offset, activation, s0, s1);
          }
        }
      });
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

template <typename Policy>
__global__ void __launch_bounds__(kDecodeWarps * 32) decode_floats(ProductSet set) {
  int block = 0;
  const ProductParams& p = product_of(set, block);
  decode(
      p, block,
      [&](const ProductJob& job, int n_rows, int64_t o, int n_outputs, int64_t unit, float* terms) {
        const int64_t begin = unit * kUnitSize;
        const int64_t end = min(begin + kUnitSize, p.weight.n_in);
        for (int output = 0; output < n_outputs; ++output) {
          const uint8_t* const w = weight_row(p, job, o + output);
          float term[kDecodeRows] = {};
          for (int64_t i = begin; i < end; ++i) {
            const float value = float_value<Policy>(w, i);
            for (int row = 0; row < n_rows; ++row) {
              term[row] = fmaf(value, float_row(p, job, row)[i], term[row]);
            }
          }
          for (int row = 0; row < n_rows; ++row) {
            terms[(row * kWarpOutputs + output) * kTermStride] = term[row];
          }
        }
      });
}

// ---- many rows ---------------------------------------------------------------------------------

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
    constexpr int kUnits = Policy::kBlockSize / kUnitSize;
    for (int i = static_cast<int>(threadIdx.x); i < kTileOutputs * n_units; i += kTileThreads) {
      const int output = i / n_units;
      const int unit = i % n_units;
      Unit w = {};
      if (o + output < p.weight.n_out) {
        const auto* const blocks =
            reinterpret_cast<const typename Policy::Block*>(weight_row(p, job, o + output));
        Unpack<Policy>::get(blocks[(unit0 + unit) / kUnits],
                            static_cast<int>((unit0 + unit) % kUnits), w);
      }
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

// ---- rows of a table ---------------------------------------------------------------------------

template <typename Policy>
__global__ void __launch_bounds__(kThreads) embed_rows(EmbedRowsParams p) {
  const int64_t n_units = (p.table.n_in + kUnitSize - 1) / kUnitSize;
  const int64_t index = thread_index();
  if (index >= p.n * n_units) return;
  const int64_t t = index / n_units;
  const int64_t unit = index % n_units;
  const auto* const row = reinterpret_cast<const uint8_t*>(p.table.data) +
                          static_cast<size_t>(p.ids[t]) * p.table.row_bytes;
  float* const y = p.y.data + t * p.y.stride + unit * kUnitSize;
  if constexpr (Policy::kIsFloat) {
    const int64_t n = min(static_cast<int64_t>(kUnitSize), p.table.n_in - unit * kUnitSize);
    for (int64_t i = 0; i < n; ++i) {
      y[i] = float_value<Policy>(row, unit * kUnitSize + i) * p.scale;
    }
  } else {
    constexpr int kUnits = Policy::kBlockSize / kUnitSize;
    const auto* const blocks = reinterpret_cast<const typename Policy::Block*>(row);
    Unit w;
    Unpack<Policy>::get(blocks[unit / kUnits], static_cast<int>(unit % kUnits), w);
    for (int i = 0; i < kUnitSize; ++i) {
      const int h = Policy::kGroupSize == 32 ? 0 : i / 16;
      const auto q = static_cast<int8_t>(w.q[i / 4] >> (8 * (i % 4)));
      float value = w.scale[h] * static_cast<float>(q);
      if constexpr (Policy::kHasOffset) value += w.offset[h];
      y[i] = value * p.scale;
    }
  }
}

// ---- launching ---------------------------------------------------------------------------------

// `outputs` of a product are one block's, or those of one row of blocks.
inline cudaError_t launch_set(ProductSet set, int64_t outputs, unsigned rows_of_blocks,
                              unsigned threads, size_t shared, Queue& queue,
                              void (*kernel)(ProductSet)) {
  unsigned n_blocks = 0;
  for (int i = 0; i < set.n; ++i) {
    const unsigned n = blocks_for(set.products[i].weight.n_out, outputs);
    if (n == 0 || n > 0x7fffffff - n_blocks) return cudaErrorInvalidValue;
    set.n_blocks[i] = static_cast<int32_t>(n);
    n_blocks += n;
  }
  return launch({n_blocks, rows_of_blocks, static_cast<unsigned>(set.products[0].n_jobs)}, threads,
                shared, queue, kernel, set);
}

template <typename Policy>
cudaError_t launch_type(const ProductSet& set, Queue& queue) {
  const int32_t n_rows = set.products[0].max_count;
  if (n_rows <= kDecodeRows) {
    constexpr size_t kShared =
        shared_bytes<float>(kDecodeWarps * kDecodeRows * kWarpOutputs * kTermStride);
    void (*kernel)(ProductSet) = nullptr;
    if constexpr (Policy::kIsFloat) {
      kernel = decode_floats<Policy>;
    } else {
      kernel = decode_blocks<Policy>;
    }
    return launch_set(set, kDecodeWarps * kWarpOutputs, 1, kDecodeWarps * 32, kShared, queue,
                      kernel);
  }
  const unsigned rows_of_blocks = blocks_for(n_rows, kTileRows);
  if constexpr (Policy::kIsFloat) {
    constexpr size_t kShared = shared_bytes<float>(kTileOutputs * kFloatStride) +
                               shared_bytes<float>(kTileRows * kFloatStride);
    return launch_set(set, kTileOutputs, rows_of_blocks, kTileThreads, kShared, queue,
                      tile_floats<Policy>);
  } else {
    return launch_set(set, kTileOutputs, rows_of_blocks, kTileThreads, BlockTile<Policy>::bytes(),
                      queue, tile_blocks<Policy>);
  }
}

template <typename Policy>
cudaError_t launch_embed_type(const EmbedRowsParams& p, Queue& queue) {
  const unsigned blocks = blocks_for(p.n * ((p.table.n_in + kUnitSize - 1) / kUnitSize));
  if (blocks == 0 && p.n > 0) return cudaErrorInvalidValue;
  return launch({blocks, 1, 1}, kThreads, 0, queue, embed_rows<Policy>, p);
}

}  // namespace

#define LLMRUN_PRODUCTS(type)                                          \
  TypeLaunchers launchers_of_##type() {                                \
    return {launch_type<quant::type>, launch_embed_type<quant::type>}; \
  }

}  // namespace llmrun::kernels::cuda
