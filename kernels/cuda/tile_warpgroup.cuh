// Products of many rows on cards of 9.0a, with the bits of tile_blocks. A warp group of 128 threads
// fetches: it unpacks weights into shared memory, and lets the copy engine bring rows. Two others
// multiply, 64 rows each, with tensor cores that read shared memory themselves.
//
// Sums are of 16 values, because each 16 activations have a scale of their own, and an instruction
// takes 32: half of the weights it reads are zeros, which lie before and after the tile, so no
// weight is stored twice.
#pragma once

#include "kernels/cuda/product_forms.h"
#include "kernels/cuda/product_parts.cuh"
#include "kernels/cuda/warpgroup.cuh"

namespace llmrun::kernels::cuda {
namespace {  // NOLINT(google-build-namespaces): see device.cuh

constexpr int kGroupThreads = 128;
constexpr int kMultiplyGroups = 2;
constexpr int kWarpGroupThreads = (1 + kMultiplyGroups) * kGroupThreads;
constexpr int kGroupOutputs = 64;
constexpr int kGroupRows = 64;  // of a group that multiplies
static_assert(kMultiplyGroups * kGroupRows == kPackRows);
constexpr int kStages = 2;

constexpr int kPlane = kGroupOutputs * 16;  // bytes: 16 values of all outputs
constexpr int kRowPlane = kPackRows * 16;   // the same of rows
constexpr int kStageWeights = kPackHalves * kPlane;
constexpr int kAllWeights = kPlane + kStages * kStageWeights + kPlane;
constexpr int kStageScales = kPackHalves * kGroupOutputs;

struct WarpGroupTile {
  int8_t* weights;  // a plane of zeros, [kStages][kPackHalves] planes, a plane of zeros
  float* scales;    // [kStages][kPackHalves][kGroupOutputs]
  float* offsets;   // the same
  std::byte* rows;  // [kStages] pieces: see product_forms.h
  uint64_t* full;   // [kStages]
  uint64_t* empty;  // [kStages]

  static constexpr size_t bytes() {
    return shared_bytes<int8_t>(kAllWeights) + 2 * shared_bytes<float>(kStages * kStageScales) +
           shared_bytes<std::byte>(kStages * kPieceBytes) + 2 * shared_bytes<uint64_t>(kStages);
  }
  __device__ WarpGroupTile() {
    SharedMemory shared;
    weights = shared.array<int8_t>(kAllWeights);
    scales = shared.array<float>(kStages * kStageScales);
    offsets = shared.array<float>(kStages * kStageScales);
    rows = shared.array<std::byte>(kStages * kPieceBytes);
    full = shared.array<uint64_t>(kStages);
    empty = shared.array<uint64_t>(kStages);
  }
  [[nodiscard]] __device__ int8_t* plane(int stage, int half) const {
    return weights + kPlane + stage * kStageWeights + half * kPlane;
  }
  [[nodiscard]] __device__ const int8_t* zeros_after() const {
    return weights + kAllWeights - kPlane;
  }
  [[nodiscard]] __device__ std::byte* piece(int stage) const { return rows + stage * kPieceBytes; }
};

#if LLMRUN_HAS_WARP_GROUPS

// Units [unit0, unit0 + n_units) of the outputs from o on; zeros where there are none.
template <typename Policy>
__device__ __forceinline__ void fetch_weights(const WarpGroupTile& tile, int stage,
                                              const ProductParams& p, const ProductJob& job,
                                              int64_t o, int64_t unit0, int n_units) {
  const auto thread = static_cast<int>(threadIdx.x);
  const int output = thread % kGroupOutputs;
  for (int unit = thread / kGroupOutputs; unit < n_units; unit += kGroupThreads / kGroupOutputs) {
    const Unit w = weight_unit<Policy>(p, job, o + output, unit0 + unit);
    for (int h = 0; h < 2; ++h) {
      const int half = 2 * unit + h;
      auto* const to = reinterpret_cast<uint32_t*>(tile.plane(stage, half) + 16 * output);
      for (int k = 0; k < 4; ++k) to[k] = w.q[4 * h + k];
      const int at = stage * kStageScales + half * kGroupOutputs + output;
      tile.scales[at] = w.scale[h];
      tile.offsets[at] = w.offset[h];
    }
  }
}

template <typename Policy>
__device__ __forceinline__ void fetch(const WarpGroupTile& tile, const ProductParams& p,
                                      const ProductJob& job, int64_t o) {
  const int64_t n_units = p.weight.n_in / kUnitSize;
  const int64_t n_pieces = n_unit_pieces(p.weight.n_in);
  const std::byte* const from =
      p.packed + static_cast<size_t>(blockIdx.y) * static_cast<size_t>(n_pieces) * kPieceBytes;
  for (int i = static_cast<int>(threadIdx.x); i < kPlane / 4; i += kGroupThreads) {
    reinterpret_cast<uint32_t*>(tile.weights)[i] = 0;
    reinterpret_cast<uint32_t*>(tile.weights + kAllWeights - kPlane)[i] = 0;
  }
  for (int64_t piece = 0; piece < n_pieces; ++piece) {
    const auto stage = static_cast<int>(piece % kStages);
    const auto round = static_cast<uint32_t>(piece / kStages);
    if (round > 0) barrier_wait(tile.empty + stage, (round - 1) % 2);
    if (threadIdx.x == 0) {
      barrier_expect(tile.full + stage, kPieceBytes);
      copy_to_shared(tile.piece(stage), from + static_cast<size_t>(piece) * kPieceBytes,
                     kPieceBytes, tile.full + stage);
    }
    const int64_t unit0 = piece * kPackUnits;
    const auto n = static_cast<int>(min(static_cast<int64_t>(kPackUnits), n_units - unit0));
    fetch_weights<Policy>(tile, stage, p, job, o, unit0, n);
    show_to_tensor_cores();
    barrier_arrive(tile.full + stage);
  }
}

// The terms of a unit for 64 outputs and the 64 rows of the group.
template <typename Policy>
__device__ __forceinline__ void add_unit(const WarpGroupTile& tile, int stage, int unit, int group,
                                         float (&sums)[32]) {
  int32_t s[2][32];
  const uint32_t rows = shared_address(tile.piece(stage)) +
                        static_cast<uint32_t>(2 * unit * kRowPlane + group * kGroupRows * 16);
  const uint32_t first = shared_address(tile.plane(stage, 2 * unit));
  const uint32_t second = first + kPlane;
  const uint32_t before = shared_address(tile.weights);
  const uint32_t after = shared_address(tile.zeros_after());
  products_begin();
  product_s8(s[0], matrix_at(first, after - first, 128), matrix_at(rows, kRowPlane, 128));
  product_s8(s[1], matrix_at(before, second - before, 128), matrix_at(rows, kRowPlane, 128));
  products_commit();
  products_wait();
  products_are_in(s[0]);
  products_are_in(s[1]);
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int output = static_cast<int>(threadIdx.x % kGroupThreads) / 32 * 16 + lane / 4;
  const auto* const row_scales =
      reinterpret_cast<const float*>(tile.piece(stage) + kPackValues) + 2 * unit * kPackRows;
  const float* const row_sums = row_scales + kPackHalves * kPackRows;
  const int scales_at = stage * kStageScales + 2 * unit * kGroupOutputs + output;
  float scale[2][2], offset[2][2];  // of the lane's two outputs
  for (int i = 0; i < 2; ++i) {
    for (int h = 0; h < 2; ++h) {
      scale[i][h] = tile.scales[scales_at + h * kGroupOutputs + 8 * i];
      offset[i][h] = tile.offsets[scales_at + h * kGroupOutputs + 8 * i];
    }
  }
  LLMRUN_UNROLL
  for (int column = 0; column < kGroupRows / 8; ++column) {
    LLMRUN_UNROLL
    for (int j = 0; j < 2; ++j) {
      const int row = group * kGroupRows + 8 * column + 2 * (lane % 4) + j;
      const Activation32 activation{{row_scales[row], row_scales[kPackRows + row]},
                                    {row_sums[row], row_sums[kPackRows + row]}};
      LLMRUN_UNROLL
      for (int i = 0; i < 2; ++i) {
        const int at = 4 * column + 2 * i + j;
        sums[at] += unit_term<Policy>(scale[i], offset[i], activation, s[0][at], s[1][at]);
      }
    }
  }
}

template <typename Policy>
__device__ __forceinline__ void multiply(const WarpGroupTile& tile, const ProductParams& p,
                                         const ProductJob& job, int64_t o, int group) {
  const int64_t n_units = p.weight.n_in / kUnitSize;
  const int64_t n_pieces = n_unit_pieces(p.weight.n_in);
  const int first = static_cast<int>(blockIdx.y) * kPackRows;
  const int n_rows = min(kPackRows, job.count - first);
  const int lane = static_cast<int>(threadIdx.x % 32);
  float sums[32] = {};
  for (int64_t piece = 0; piece < n_pieces; ++piece) {
    const auto stage = static_cast<int>(piece % kStages);
    barrier_wait(tile.full + stage, static_cast<uint32_t>(piece / kStages) % 2);
    const auto n =
        static_cast<int>(min(static_cast<int64_t>(kPackUnits), n_units - piece * kPackUnits));
    LLMRUN_NO_UNROLL
    for (int unit = 0; unit < n && group * kGroupRows < n_rows; ++unit) {
      add_unit<Policy>(tile, stage, unit, group, sums);
    }
    __syncwarp();
    if (lane == 0) barrier_arrive(tile.empty + stage);
  }
  LLMRUN_UNROLL
  for (int i = 0; i < 32; ++i) {
    const int row = group * kGroupRows + 8 * (i / 4) + 2 * (lane % 4) + i % 2;
    const int64_t output =
        o + static_cast<int>(threadIdx.x % kGroupThreads) / 32 * 16 + lane / 4 + i / 2 % 2 * 8;
    if (row < n_rows && output < p.weight.n_out) finish(p, job, first + row, output, sums[i]);
  }
}

#endif  // LLMRUN_HAS_WARP_GROUPS

template <typename Policy>
__global__ void __launch_bounds__(kWarpGroupThreads, 1) tile_warpgroups(ProductSet set) {
#if LLMRUN_HAS_WARP_GROUPS
  int block = 0;
  const ProductParams& p = product_of(set, block);
  const WarpGroupTile tile;
  const ProductJob job = job_of(p);
  if (static_cast<int>(blockIdx.y) * kPackRows >= job.count) return;  // the whole block
  const int64_t o = static_cast<int64_t>(block) * kGroupOutputs;
  if (threadIdx.x == 0) {
    for (int stage = 0; stage < kStages; ++stage) {
      barrier_init(tile.full + stage, kGroupThreads + 1);  // and that of the copy
      barrier_init(tile.empty + stage, kMultiplyGroups * kGroupThreads / 32);
    }
    show_barriers();
  }
  __syncthreads();
  const int group = static_cast<int>(threadIdx.x) / kGroupThreads;
  if (group == 0) {
    fetch<Policy>(tile, p, job, o);
  } else {
    multiply<Policy>(tile, p, job, o, group - 1);
  }
#else
  (void)set;
  __trap();
#endif
}

}  // namespace
}  // namespace llmrun::kernels::cuda
