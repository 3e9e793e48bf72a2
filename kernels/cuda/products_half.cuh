// Products of weights of 16 bits, F16 and BF16, on tensor cores. A float of the activations is the
// sum of parts of 16 bits, so hardly anything is lost: three of BF16, or two of F16 that share a
// power of two with 31 others. As elsewhere every output is summed in one order, by both kernels
// alike: an mma gives the term of 32 values, and terms are added from the first to the last.
//   decode_halves   few rows: weights are read once, units divided among the warps of a block
//   tile_halves     many rows: weights and parts in shared memory
#pragma once

#include "kernels/cuda/products.cuh"

namespace llmrun::kernels::cuda {
namespace {  // NOLINT(google-build-namespaces): see device.cuh

template <typename Policy>
constexpr bool kIsBf16 = Policy::kType == TensorType::BF16;
template <typename Policy>
constexpr int kParts = kIsBf16<Policy> ? 3 : 2;

// ---- fragments ---------------------------------------------------------------------------------

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

// ---- few rows ----------------------------------------------------------------------------------

constexpr int kHalfStep = 16;  // units that a block takes at a time
constexpr int kHalfStepOfWarp = kHalfStep / kDecodeWarps;

template <int kTiles>
constexpr int kHalfTermStride = kTiles * 16 + 4;  // lanes of an mma meet different banks
template <int kTiles>
constexpr size_t kHalfDecodeShared =
    shared_bytes<float>(kHalfStep* kDecodeRows* kHalfTermStride<kTiles>);

// A block computes kTiles * 16 outputs; a thread per result adds the terms that all warps made.
template <typename Policy, int kTiles>
__global__ void __launch_bounds__(kDecodeWarps * 32) decode_halves(ProductSet set) {
  int block = 0;
  const ProductParams& p = product_of(set, block);
  constexpr int kOutputs = kTiles * 16;
  constexpr int kStride = kHalfTermStride<kTiles>;
  constexpr int kSums = kDecodeRows * kOutputs / (kDecodeWarps * 32);  // of a thread
  SharedMemory shared;
  float* const terms = shared.array<float>(kHalfStep * kDecodeRows * kStride);
  const ProductJob job = job_of(p);
  const int n_rows = job.count;
  if (n_rows == 0) return;  // the whole block
  const int warp = static_cast<int>(threadIdx.x / 32);
  const int g = static_cast<int>(threadIdx.x % 32) / 4;
  const int t = static_cast<int>(threadIdx.x % 4);
  const int o = block * kOutputs;
  const int n_in = static_cast<int>(p.weight.n_in);
  const int n_units = (n_in + kUnitSize - 1) / kUnitSize;
  const bool aligned_weights = p.weight.row_bytes % 16 == 0;
  const bool aligned_x = aligned_rows(p);
  const float* const x_row = g < n_rows ? float_row(p, job, g) : nullptr;
  float sums[kSums] = {};
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
    for (int j = 0; j < kSums; ++j) {
      const int result = static_cast<int>(threadIdx.x) + j * kDecodeWarps * 32;
      if (result / kOutputs >= n_rows) break;
      const float* const from = terms + result / kOutputs * kStride + result % kOutputs;
      for (int unit = 0; unit < n; ++unit) sums[j] += from[unit * kDecodeRows * kStride];
    }
    __syncthreads();
  }
  for (int j = 0; j < kSums; ++j) {
    const int result = static_cast<int>(threadIdx.x) + j * kDecodeWarps * 32;
    const int output = o + result % kOutputs;
    if (result / kOutputs < n_rows && output < p.weight.n_out) {
      finish(p, job, result / kOutputs, output, sums[j]);
    }
  }
}

// ---- many rows ---------------------------------------------------------------------------------

constexpr int kHalfTileThreads = 256;
constexpr int kHalfTileOutputs = 128;
constexpr int kHalfTileRows = 64;
constexpr int kHalfTileUnits = 2;  // at a time
constexpr int kHalfWords = kUnitSize / 2;

template <typename Policy>
struct HalfTile {
  uint32_t* weights;  // [kHalfTileUnits][kHalfTileOutputs][kHalfWords]
  uint32_t* parts;    // [kHalfTileUnits][kParts][kHalfTileRows][kHalfWords]
  float* scales;      // [kHalfTileUnits][kHalfTileRows]

  static constexpr size_t kWeights = kHalfTileUnits * kHalfTileOutputs * kHalfWords;
  static constexpr size_t kPartWords = kHalfTileUnits * kParts<Policy> * kHalfTileRows * kHalfWords;
  static constexpr size_t bytes() {
    return shared_bytes<uint32_t>(kWeights) + shared_bytes<uint32_t>(kPartWords) +
           shared_bytes<float>(kHalfTileUnits * kHalfTileRows);
  }
  __device__ HalfTile() {
    SharedMemory shared;
    weights = shared.array<uint32_t>(kWeights);
    parts = shared.array<uint32_t>(kPartWords);
    scales = shared.array<float>(kHalfTileUnits * kHalfTileRows);
  }
  [[nodiscard]] __device__ uint32_t* weights_at(int unit, int output) const {
    return weights + (unit * kHalfTileOutputs + output) * kHalfWords;
  }
  [[nodiscard]] __device__ uint32_t* part_at(int unit, int part, int row) const {
    return parts + ((unit * kParts<Policy> + part) * kHalfTileRows + row) * kHalfWords;
  }

  // Units from unit0 on of the outputs from o on; zeros where there are none.
  __device__ void load_weights(const ProductParams& p, const ProductJob& job, int o,
                               int unit0) const {
    constexpr int kPieces = kHalfTileUnits * 4;  // of 8 values
    const bool aligned = p.weight.row_bytes % 16 == 0;
    LLMRUN_UNROLL
    for (int j = 0; j < kHalfTileOutputs * kPieces / kHalfTileThreads; ++j) {
      const int i = j * kHalfTileThreads + static_cast<int>(threadIdx.x);
      const int output = i / kPieces;
      const int piece = i % kPieces;
      EightHalves halves{};
      if (o + output < p.weight.n_out) {
        halves = weight_halves(weight_row(p, job, o + output), unit0 * kUnitSize + 8 * piece,
                               static_cast<int>(p.weight.n_in), aligned);
      }
      store_halves(weights_at(piece / 4, output) + piece % 4 * 4, halves);
    }
  }
  __device__ void load_rows(const ProductParams& p, const ProductJob& job, int first, int n_rows,
                            int unit0) const {
    constexpr int kPieces = kHalfTileUnits * 4;
    const bool aligned = aligned_rows(p);
    LLMRUN_NO_UNROLL
    for (int j = 0; j < kHalfTileRows * kPieces / kHalfTileThreads; ++j) {
      const int i = j * kHalfTileThreads + static_cast<int>(threadIdx.x);
      const int row = i / kPieces;
      const int piece = i % kPieces;
      float x[8];
      row_values(row < n_rows ? float_row(p, job, first + row) : nullptr,
                 unit0 * kUnitSize + 8 * piece, static_cast<int>(p.weight.n_in), aligned, x);
      const SplitEight<Policy> values = split<Policy>(x);
      for (int part = 0; part < kParts<Policy>; ++part) {
        store_halves(part_at(piece / 4, part, row) + piece % 4 * 4, values.parts[part]);
      }
      if (piece % 4 == 0) scales[piece / 4 * kHalfTileRows + row] = values.scale;
    }
  }
};

// A warp computes 32 outputs of 32 rows.
template <typename Policy>
__global__ void __launch_bounds__(kHalfTileThreads, 2) tile_halves(ProductSet set) {
  int block = 0;
  const ProductParams& p = product_of(set, block);
  constexpr int kColumns = 4;  // fragments of 8 rows
  const HalfTile<Policy> tile;
  const ProductJob job = job_of(p);
  const int first = static_cast<int>(blockIdx.y) * kHalfTileRows;
  if (first >= job.count) return;  // the whole block
  const int n_rows = min(kHalfTileRows, job.count - first);
  const int o = block * kHalfTileOutputs;
  const int n_units = (static_cast<int>(p.weight.n_in) + kUnitSize - 1) / kUnitSize;
  const int warp = static_cast<int>(threadIdx.x / 32);
  const int warp_output = warp % 4 * 32;
  const int warp_row = warp / 4 * 32;
  const int g = static_cast<int>(threadIdx.x % 32) / 4;
  const int t = static_cast<int>(threadIdx.x % 4);
  float sums[2][kColumns][4] = {};
  for (int unit0 = 0; unit0 < n_units; unit0 += kHalfTileUnits) {
    tile.load_weights(p, job, o, unit0);
    tile.load_rows(p, job, first, n_rows, unit0);
    __syncthreads();
    const int n = min(kHalfTileUnits, n_units - unit0);
    LLMRUN_NO_UNROLL
    for (int unit = 0; unit < n && warp_row < n_rows; ++unit) {
      EightHalves weights[4];
      for (int i = 0; i < 4; ++i) {
        weights[i] = load_halves(tile.weights_at(unit, warp_output + g + 8 * i) + 4 * t);
      }
      LLMRUN_UNROLL
      for (int column = 0; column < kColumns; ++column) {
        EightHalves parts[kParts<Policy>];
        for (int part = 0; part < kParts<Policy>; ++part) {
          parts[part] = load_halves(tile.part_at(unit, part, warp_row + 8 * column + g) + 4 * t);
        }
        const float* const scales =
            tile.scales + unit * kHalfTileRows + warp_row + 8 * column + 2 * t;
        LLMRUN_UNROLL
        for (int i = 0; i < 2; ++i) {
          float d[4];
          unit_product<Policy>(weights[2 * i], weights[2 * i + 1], parts, d);
          for (int j = 0; j < 4; ++j) sums[i][column][j] += scales[j % 2] * d[j];
        }
      }
    }
    __syncthreads();
  }
  LLMRUN_UNROLL
  for (int i = 0; i < 2; ++i) {
    LLMRUN_UNROLL
    for (int column = 0; column < kColumns; ++column) {
      for (int j = 0; j < 4; ++j) {
        const int row = warp_row + 8 * column + 2 * t + j % 2;
        const int output = o + warp_output + 16 * i + g + j / 2 * 8;
        if (row < n_rows && output < p.weight.n_out) {
          finish(p, job, first + row, output, sums[i][column][j]);
        }
      }
    }
  }
}

// ---- launching ---------------------------------------------------------------------------------

template <typename Policy, int kTiles>
cudaError_t launch_decode_halves(const ProductSet& set, Queue& queue) {
  return launch_set(set, kTiles * 16, 1, kDecodeWarps * 32, kHalfDecodeShared<kTiles>, queue,
                    decode_halves<Policy, kTiles>);
}

template <typename Policy>
cudaError_t launch_halves(const ProductSet& set, Queue& queue) {
  int64_t n_out = 0;
  for (int i = 0; i < set.n; ++i) {
    const Weight& weight = set.products[i].weight;
    if (weight.n_in > INT32_MAX / 2 || weight.n_out > INT32_MAX / 2) return cudaErrorInvalidValue;
    n_out += weight.n_out;
  }
  const ProductParams& first = set.products[0];
  if (first.max_count > kDecodeRows) {
    return launch_set(set, kHalfTileOutputs, blocks_for(first.max_count, kHalfTileRows),
                      kHalfTileThreads, HalfTile<Policy>::bytes(), queue, tile_halves<Policy>);
  }
  // Outputs in larger pieces read the rows less often, but few outputs need many blocks.
  constexpr int64_t kFewOutputs = 4096;
  return n_out * first.n_jobs > kFewOutputs ? launch_decode_halves<Policy, 2>(set, queue)
                                            : launch_decode_halves<Policy, 1>(set, queue);
}

}  // namespace

#define LLMRUN_HALF_PRODUCTS(type)                                       \
  TypeLaunchers launchers_of_##type() {                                  \
    return {launch_halves<quant::type>, launch_embed_type<quant::type>}; \
  }

}  // namespace llmrun::kernels::cuda
