// Products of many rows with weights of F16 and BF16: weights and parts of rows in shared memory.
#pragma once

#include "kernels/cuda/halves.cuh"

namespace llmrun::kernels::cuda {
namespace {  // NOLINT(google-build-namespaces): see device.cuh

constexpr int kHalfTileThreads = 256;
constexpr int kHalfTileOutputs = 128;
constexpr int kHalfTileRows = 64;
constexpr int kHalfTileUnits = 2;  // at a time
constexpr int kHalfWords = kUnitSize / 2;

// The same number, of which the compiler does not know that: what is computed of it in a loop is
// computed there, and not kept in registers from before it, of which there are too few.
__device__ __forceinline__ int anew(int value) {
#ifdef __CUDACC__
  asm volatile("" : "+r"(value));
#endif
  return value;
}

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
    constexpr int kStep = kHalfTileThreads / kPieces;
    const bool aligned = p.weight.row_bytes % 16 == 0;
    const int output = static_cast<int>(threadIdx.x) / kPieces;  // and others kStep further each
    const int piece = static_cast<int>(threadIdx.x) % kPieces;
    const uint8_t* row = weight_row(p, job, o + output);
    LLMRUN_UNROLL
    for (int j = 0; j < kHalfTileOutputs / kStep; ++j) {
      EightHalves halves{};
      if (o + output + j * kStep < p.weight.n_out) {
        halves = weight_halves(row, unit0 * kUnitSize + 8 * piece, static_cast<int>(p.weight.n_in),
                               aligned);
      }
      store_halves(weights_at(piece / 4, output + j * kStep) + piece % 4 * 4, halves);
      row += kStep * p.weight.row_bytes;
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
    tile.load_weights(p, job, anew(o), unit0);
    tile.load_rows(p, job, anew(first), n_rows, unit0);
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

}  // namespace
}  // namespace llmrun::kernels::cuda
