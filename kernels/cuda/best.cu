// The largest values of rows, in rounds: a block sorts runs of its kSortKeys keys, then merges them
// two by two and keeps the best of each pair. The next round does the same with what all blocks of
// a row kept, until a row is the work of one block.
#include <bit>
#include <cstdint>

#include "kernels/cuda/best_keys.cuh"
#include "kernels/cuda/device.cuh"
#include "kernels/cuda/launchers.h"
#include "kernels/cuda/sizes.h"

namespace llmrun::kernels::cuda {
namespace {

static_assert(kMaxBest == kMostKept);

constexpr int kSortThreads = 512;

struct BestParams {
  ConstRows x;
  const uint64_t* keys;  // [n, n_keys]; null: those of x
  int64_t n_keys;        // of a row
  uint64_t* kept;        // [n, blocks, n_best]
  int n_best_log2;
  bool is_last;  // writes the results
  const int32_t* named;
  int64_t n_named;
  int32_t* columns;
  float* values;
};

__device__ __forceinline__ void order_pair(uint64_t* keys, int a, int b) {
  const uint64_t first = keys[a];
  const uint64_t second = keys[b];
  keys[a] = min(first, second);
  keys[b] = max(first, second);
}

// Sorts runs of 2^log2 keys that are bitonic; run r of n_runs begins at r * spacing.
__device__ __forceinline__ void merge_bitonic(uint64_t* keys, int n_runs, int spacing, int log2) {
  for (int bits = log2 - 1; bits >= 0; --bits) {
    for (int i = static_cast<int>(threadIdx.x); i < n_runs << (log2 - 1); i += kSortThreads) {
      const int run = i >> (log2 - 1);
      const int pair = i & ((1 << (log2 - 1)) - 1);
      const int a = run * spacing + ((pair >> bits) << (bits + 1)) + (pair & ((1 << bits) - 1));
      order_pair(keys, a, a + (1 << bits));
    }
    __syncthreads();
  }
}

// Sorts all runs of 2^log2 keys.
__device__ __forceinline__ void sort_runs(uint64_t* keys, int log2) {
  for (int to = 1; to <= log2; ++to) {
    // Two sorted halves, one of them mirrored, become two bitonic ones, the better keys first.
    const int half = 1 << (to - 1);
    for (int i = static_cast<int>(threadIdx.x); i < kSortKeys / 2; i += kSortThreads) {
      const int run = (i >> (to - 1)) << to;
      const int at = i & (half - 1);
      order_pair(keys, run + at, run + 2 * half - 1 - at);
    }
    __syncthreads();
    merge_bitonic(keys, kSortKeys >> (to - 1), half, to - 1);
  }
}

// Leaves the best 2^log2 of all keys, in order, at the front.
__device__ __forceinline__ void keep_best(uint64_t* keys, int log2) {
  sort_runs(keys, log2);
  const int n_best = 1 << log2;
  for (int distance = n_best; distance < kSortKeys; distance *= 2) {
    // Runs lie `distance` apart. Of every two the better half, bitonic, takes the first one's
    // place.
    const int n_pairs = static_cast<int>(kSortKeys) / (2 * distance);
    for (int i = static_cast<int>(threadIdx.x); i < n_pairs << log2; i += kSortThreads) {
      const int at = i & (n_best - 1);
      uint64_t* const first = keys + (i >> log2) * 2 * distance;
      first[at] = min(first[at], first[distance + n_best - 1 - at]);
    }
    __syncthreads();
    merge_bitonic(keys, n_pairs, 2 * distance, log2);
  }
}

__global__ void __launch_bounds__(kSortThreads) select_best(BestParams p) {
  SharedMemory shared;
  auto* const keys = shared.array<uint64_t>(kSortKeys);
  const int64_t row = blockIdx.y;
  const int64_t first = blockIdx.x * kSortKeys;
  const float* const x = p.x.data + row * p.x.stride;
  for (int i = static_cast<int>(threadIdx.x); i < kSortKeys; i += kSortThreads) {
    const int64_t at = first + i;
    keys[i] = at >= p.n_keys      ? kNoKey
              : p.keys == nullptr ? key_of(x[at], at)
                                  : p.keys[row * p.n_keys + at];
  }
  __syncthreads();
  keep_best(keys, p.n_best_log2);
  const int n_best = 1 << p.n_best_log2;
  if (!p.is_last) {
    uint64_t* const kept = p.kept + (row * gridDim.x + blockIdx.x) * n_best;
    for (int i = static_cast<int>(threadIdx.x); i < n_best; i += kSortThreads) kept[i] = keys[i];
    return;
  }
  const int64_t n = n_best + p.n_named;
  for (int64_t i = threadIdx.x; i < n; i += kSortThreads) {
    const int32_t column = i < n_best ? column_of(keys[i]) : p.named[row * p.n_named + i - n_best];
    p.columns[row * n + i] = column;
    if (p.values != nullptr) p.values[row * n + i] = x[column];
  }
}

}  // namespace

cudaError_t launch_find_best(const FindBestParams& op, const int32_t* named, Queue& queue) {
  if (op.n_best < 1 || op.n_best > std::min(kMaxBest, op.x.width) || op.x.width > INT32_MAX ||
      !std::has_single_bit(static_cast<uint64_t>(op.n_best)) || op.n_named < 0) {
    return cudaErrorInvalidValue;
  }
  BestParams p{};
  p.x = op.x;
  p.n_keys = op.x.width;
  p.n_best_log2 = std::countr_zero(static_cast<uint64_t>(op.n_best));
  p.named = named;
  p.n_named = op.n_named;
  p.columns = op.columns;
  p.values = op.values;
  auto* const first = reinterpret_cast<uint64_t*>(op.scratch);
  uint64_t* const second = first + op.x.n * kept_keys(op.x.width, op.n_best);
  for (;;) {
    const unsigned blocks = blocks_for(p.n_keys, kSortKeys);
    p.is_last = blocks == 1;
    p.kept = p.keys == first ? second : first;
    const cudaError_t error = launch({blocks, static_cast<unsigned>(op.x.n), 1}, kSortThreads,
                                     shared_bytes<uint64_t>(kSortKeys), queue, select_best, p);
    if (error != cudaSuccess || p.is_last) return error;
    p.keys = p.kept;
    p.n_keys = blocks * op.n_best;
  }
}

}  // namespace llmrun::kernels::cuda
