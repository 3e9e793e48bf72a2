// What a block of attention does with one tile of the cache: scores by tensor cores, a step of the
// streaming softmax, and the weighted values by tensor cores. A float is two or three parts of 11
// bits there, so nothing is lost.
#pragma once

#include "kernels/cuda/cache_rows.cuh"
#include "kernels/cuda/launchers.h"
#include "kernels/cuda/limits.h"
#include "kernels/cuda/math.cuh"

namespace llmrun::kernels::cuda {
namespace {  // NOLINT(google-build-namespaces): see device.cuh

constexpr int kAttendThreads = 128;
constexpr int kWarps = kAttendThreads / 32;
constexpr int kRowTile = 16;  // rows of one mma
constexpr int kTile = kPageTokens;
constexpr int kChunk = 64;           // dims in shared memory at a time
constexpr int kTileStride = 64 + 8;  // lanes of an mma meet different banks
constexpr int kScoreStride = kTile + 4;

struct AttendParams {
  AttentionParams op;
  const AttendPlace* places;
  float* partials;     // null: a block walks all segments; else [segment, token, head, v_dim + 2]
  float* carry;        // [token, head, v_dim + 2]: what earlier rounds merged
  int64_t n_tokens;    // of all places
  int64_t segment0;    // of this round, from a place's first one on
  int64_t n_segments;  // of a round
  QuantizedRows quantized;
};

// The keys that a query at `position` may see lie in [first, last].
struct KeyRange {
  int64_t first, last;
};
__device__ __host__ inline KeyRange key_range(const AttentionParams& p, int64_t n_keys,
                                              int64_t position) {
  KeyRange range{0, n_keys - 1};
  const int64_t window = p.causal ? p.window - 1 : p.window / 2;
  if (p.window > 0 && position - window > range.first) range.first = position - window;
  if (p.window > 0 && !p.causal && position + window < range.last) range.last = position + window;
  if (p.causal && position < range.last) range.last = position;
  if (p.chunk > 0) {
    const int64_t begin = position / p.chunk * p.chunk;
    if (begin > range.first) range.first = begin;
    if (begin + p.chunk - 1 < range.last) range.last = begin + p.chunk - 1;
  }
  return range;
}

// A softmax in progress: the largest score, the sum of exponents and, elsewhere, the outputs.
struct Running {
  float largest = -INFINITY;
  float sum = 0.0F;
};
// What the outputs so far and those of the part to add are multiplied with.
struct MergeFactors {
  float old, part;
};
__device__ __forceinline__ MergeFactors merge(Running& total, float largest, float sum) {
  if (largest == -INFINITY) return {1.0F, 0.0F};
  const float top = fmaxf(total.largest, largest);
  const MergeFactors factors{total.largest == -INFINITY ? 0.0F : expf(total.largest - top),
                             expf(largest - top)};
  total.sum = fmaf(total.sum, factors.old, sum * factors.part);
  total.largest = top;
  return factors;
}
__device__ __forceinline__ float merged(const MergeFactors& factors, float total, float part) {
  return factors.part == 0.0F && factors.old == 1.0F
             ? total
             : fmaf(total, factors.old, part * factors.part);
}
__device__ __forceinline__ Running begin_softmax(const AttentionParams& p, int64_t head) {
  return p.sinks == nullptr ? Running{} : Running{p.sinks[head], 1.0F};
}

// ---- the rows of a block -----------------------------------------------------------------------

// Rows first.. of (token, head of the group) pairs, tokens outermost.
struct Queries {
  int first, n, group, kv_head;
  __device__ int token(int row) const { return (first + row) / group; }
  __device__ int head(int row) const { return kv_head * group + (first + row) % group; }
};

// What a block has in shared memory. A row beyond those of the block sees no key.
template <int kRows>
struct Scratch {
  float* q;       // [kRows][q_stride]
  float* tile;    // keys [kChunk][kTileStride] by dim, or values [kTile][kTileStride] by key
  float* scores;  // [kRows][kScoreStride], then weights
  float* largest;
  float* sums;
  float* factors;
  Running* totals;
  MergeFactors* merging;
  int64_t* positions;
  KeyRange* ranges;
  int q_stride;

  static __host__ __device__ int stride_of(int64_t k_dim) {
    return static_cast<int>((k_dim + 7) / 8 * 8 + 4);
  }
  static size_t bytes(int64_t k_dim) {
    return shared_bytes<float>(static_cast<size_t>(kRows * stride_of(k_dim))) +
           shared_bytes<float>(kTile * kTileStride) + shared_bytes<float>(kRows * kScoreStride) +
           3 * shared_bytes<float>(kRows) + shared_bytes<Running>(kRows) +
           shared_bytes<MergeFactors>(kRows) + shared_bytes<int64_t>(kRows) +
           shared_bytes<KeyRange>(kRows);
  }
  __device__ explicit Scratch(int64_t k_dim) : q_stride(stride_of(k_dim)) {
    SharedMemory shared;
    q = shared.array<float>(static_cast<size_t>(kRows * q_stride));
    tile = shared.array<float>(kTile * kTileStride);
    scores = shared.array<float>(kRows * kScoreStride);
    largest = shared.array<float>(kRows);
    sums = shared.array<float>(kRows);
    factors = shared.array<float>(kRows);
    totals = shared.array<Running>(kRows);
    merging = shared.array<MergeFactors>(kRows);
    positions = shared.array<int64_t>(kRows);
    ranges = shared.array<KeyRange>(kRows);
  }

  __device__ void load(const AttendParams& p, const AttendPlace& place,
                       const Queries& queries) const {
    const int width = q_stride - 4;
    for (int i = static_cast<int>(threadIdx.x); i < kRows * width; i += kAttendThreads) {
      const int row = i / width;
      const int dim = i % width;
      const bool exists = row < queries.n && dim < p.op.k_dim;
      q[row * q_stride + dim] =
          exists
              ? place.q[queries.token(row) * p.op.q.stride + queries.head(row) * p.op.k_dim + dim]
              : 0.0F;
    }
    const int row = static_cast<int>(threadIdx.x);
    if (row < kRows) {
      const bool exists = row < queries.n;
      positions[row] = exists ? place.first_position + queries.token(row) : 0;
      ranges[row] = exists ? key_range(p.op, place.n_keys, positions[row]) : KeyRange{1, 0};
      totals[row] = exists ? begin_softmax(p.op, queries.head(row)) : Running{};
    }
    __syncthreads();
  }
};

__device__ __forceinline__ int lane_group() { return static_cast<int>(threadIdx.x % 32) / 4; }
__device__ __forceinline__ int lane_in_group() { return static_cast<int>(threadIdx.x % 4); }

// What a thread has of a matrix of kTiles * 16 rows and 64 columns that the results of mma make up:
// a warp has 16 columns, as two results side by side. fn(m, j, i, row, column) for element i of
// result j of tile m.
template <int kTiles, typename Fn>
__device__ __forceinline__ void each_element(const Fn& fn) {
  const int column0 = static_cast<int>(threadIdx.x / 32) * 16 + 2 * lane_in_group();
  LLMRUN_UNROLL
  for (int m = 0; m < kTiles; ++m) {
    LLMRUN_UNROLL
    for (int j = 0; j < 2; ++j) {
      LLMRUN_UNROLL
      for (int i = 0; i < 4; ++i) {
        fn(m, j, i, m * kRowTile + lane_group() + i / 2 * 8, column0 + 8 * j + i % 2);
      }
    }
  }
}

// ---- one tile ----------------------------------------------------------------------------------

// The chunk of a cache tile from dim0 on in shared memory: [dim][key] for scores, [key][dim] for
// sums of values. n_dims is a multiple of 8.
template <bool kByDim>
__device__ __forceinline__ void load_chunk(const CacheTile& from, int64_t dim0, int n_dims,
                                           int n_keys, float* to) {
  const int per_key = n_dims / 4;
  for (int i = static_cast<int>(threadIdx.x); i < n_dims * (kTile / 4); i += kAttendThreads) {
    const int dim = from.dim_major ? i / (kTile / 4) : i % per_key * 4;
    const int key = from.dim_major ? i % (kTile / 4) * 4 : i / per_key;
    float values[4];
    tile_values(from, dim0 + dim, key, n_keys, values);
    for (int j = 0; j < 4; ++j) {
      const int d = from.dim_major ? dim : dim + j;
      const int k = from.dim_major ? key + j : key;
      to[kByDim ? d * kTileStride + k : k * kTileStride + d] = values[j];
    }
  }
}

// sums += A * B with nothing lost but the product of the low parts. `exact`: B has none.
__device__ __forceinline__ void add_product(float (&sums)[4], const float (&high)[4],
                                            const float (&low)[4], const float (&b)[2],
                                            bool exact) {
  const float b_high[2] = {high_part(b[0]), high_part(b[1])};
  mma_tf32(sums, high, b_high);
  mma_tf32(sums, low, b_high);
  if (exact) return;
  const float b_low[2] = {high_part(b[0] - b_high[0]), high_part(b[1] - b_high[1])};
  mma_tf32(sums, high, b_low);
}

// The 16 x 8 part of a matrix in shared memory that a thread holds for an mma, in two parts.
__device__ __forceinline__ void load_rows(const float* matrix, int stride, int column,
                                          float (&high)[4], float (&low)[4]) {
  const float* const at = matrix + lane_group() * stride + column + lane_in_group();
  const float values[4] = {at[0], at[8 * stride], at[4], at[8 * stride + 4]};
  for (int i = 0; i < 4; ++i) {
    high[i] = high_part(values[i]);
    low[i] = high_part(values[i] - high[i]);
  }
}

// The score of a row and a key as the softmax takes it.
template <int kRows>
__device__ __forceinline__ float masked_score(const AttendParams& p, const Queries& queries,
                                              const Scratch<kRows>& s, int row, int64_t key,
                                              float product) {
  const KeyRange range = s.ranges[row];
  if (key < range.first || key > range.last) return -INFINITY;
  float score = soft_cap(product * p.op.scale, p.op.soft_cap);
  if (p.op.alibi_slopes != nullptr) {
    const int64_t position = s.positions[row];
    const int64_t distance = position > key ? position - key : key - position;
    score -= p.op.alibi_slopes[queries.head(row)] * static_cast<float>(distance);
  }
  return score;
}

// scores[row][key] of a tile; a warp takes 16 of the keys.
template <int kTiles>
__device__ __forceinline__ void score_tile(const AttendParams& p, const AttendPlace& place,
                                           const Queries& queries,
                                           const Scratch<kTiles * kRowTile>& s, int64_t first_key) {
  const int n_keys = static_cast<int>(min(static_cast<int64_t>(kTile), place.n_keys - first_key));
  const CacheTile keys =
      cache_tile(place.k_pages, p.op.k_type, p.op.k_dim, !p.op.v_in_k, queries.kv_head, first_key);
  const bool exact = fits_tensor_core(p.op.k_type);
  const int key0 = static_cast<int>(threadIdx.x / 32) * 16;
  float sums[kTiles][2][4] = {};
  const int width = s.q_stride - 4;
  for (int dim0 = 0; dim0 < width; dim0 += kChunk) {
    const int n_dims = min(kChunk, width - dim0);
    load_chunk<true>(keys, dim0, n_dims, n_keys, s.tile);
    __syncthreads();
    for (int dim = 0; dim < n_dims; dim += 8) {
      float b[2][2];
      for (int j = 0; j < 2; ++j) {
        const float* const at = s.tile + (dim + lane_in_group()) * kTileStride + key0 + 8 * j;
        b[j][0] = at[lane_group()];
        b[j][1] = at[4 * kTileStride + lane_group()];
      }
      LLMRUN_UNROLL
      for (int m = 0; m < kTiles; ++m) {
        if (m * kRowTile >= queries.n) continue;
        float high[4], low[4];
        load_rows(s.q + m * kRowTile * s.q_stride, s.q_stride, dim0 + dim, high, low);
        LLMRUN_UNROLL
        for (int j = 0; j < 2; ++j) add_product(sums[m][j], high, low, b[j], exact);
      }
    }
    __syncthreads();
  }
  each_element<kTiles>([&](int m, int j, int i, int row, int key) {
    s.scores[row * kScoreStride + key] =
        masked_score(p, queries, s, row, first_key + key, sums[m][j][i]);
  });
  __syncthreads();
}

// Turns the scores of a tile into weights and updates the running softmax; a warp takes its share
// of the rows.
template <int kRows>
__device__ __forceinline__ void weigh_tile(const Scratch<kRows>& s) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  for (int j = 0; j < kRows / kWarps; ++j) {
    const int row = static_cast<int>(threadIdx.x / 32) * (kRows / kWarps) + j;
    float* const scores = s.scores + row * kScoreStride;
    const float a = scores[lane];
    const float b = scores[lane + 32];
    const float before = s.largest[row];
    const float top = fmaxf(before, warp_max(fmaxf(a, b)));
    const bool none = top == -INFINITY;  // nothing is visible yet
    const float weight_a = none ? 0.0F : expf(a - top);
    const float weight_b = none ? 0.0F : expf(b - top);
    const float factor = none ? 1.0F : before == -INFINITY ? 0.0F : expf(before - top);
    const float sum = warp_sum(weight_a + weight_b);
    scores[lane] = weight_a;
    scores[lane + 32] = weight_b;
    if (lane == 0) {
      s.largest[row] = top;
      s.sums[row] = fmaf(s.sums[row], factor, sum);
      s.factors[row] = factor;
    }
  }
  __syncthreads();
}

// The outputs of a block's rows, in chunks of 64 dims.
template <int kTiles, int kChunks>
struct Outputs {
  float v[kTiles][kChunks][2][4] = {};

  // fn(row, dim, value, the others' value) for each that this thread has.
  template <typename Fn, typename... Others>
  __device__ __forceinline__ void each(const Fn& fn, const Others&... others) {
    LLMRUN_UNROLL
    for (int c = 0; c < kChunks; ++c) {
      each_element<kTiles>([&](int m, int j, int i, int row, int column) {
        fn(row, c * kChunk + column, v[m][c][j][i], others.v[m][c][j][i]...);
      });
    }
  }
};

// Adds the weighted values of a tile.
template <int kTiles, int kChunks>
__device__ __forceinline__ void add_values(const AttendParams& p, const AttendPlace& place,
                                           const Queries& queries,
                                           const Scratch<kTiles * kRowTile>& s, int64_t first_key,
                                           Outputs<kTiles, kChunks>& out) {
  const CacheType type = p.op.v_in_k ? p.op.k_type : p.op.v_type;
  const CacheTile values =
      cache_tile(p.op.v_in_k ? place.k_pages : place.v_pages, type,
                 p.op.v_in_k ? p.op.k_dim : p.op.v_dim, false, queries.kv_head, first_key);
  const int n_keys = static_cast<int>(min(static_cast<int64_t>(kTile), place.n_keys - first_key));
  const bool exact = fits_tensor_core(type);
  const int dim0 = static_cast<int>(threadIdx.x / 32) * 16;
  out.each([&](int row, int, float& value) { value *= s.factors[row]; });
  LLMRUN_UNROLL
  for (int c = 0; c < kChunks; ++c) {
    if (c * kChunk >= p.op.v_dim) continue;
    load_chunk<false>(values, c * kChunk, kChunk, n_keys, s.tile);
    __syncthreads();
    for (int key = 0; key < kTile; key += 8) {
      float b[2][2];
      for (int j = 0; j < 2; ++j) {
        const float* const at = s.tile + (key + lane_in_group()) * kTileStride + dim0 + 8 * j;
        b[j][0] = at[lane_group()];
        b[j][1] = at[4 * kTileStride + lane_group()];
      }
      LLMRUN_UNROLL
      for (int m = 0; m < kTiles; ++m) {
        if (m * kRowTile >= queries.n) continue;
        float high[4], low[4];
        load_rows(s.scores + m * kRowTile * kScoreStride, kScoreStride, key, high, low);
        LLMRUN_UNROLL
        for (int j = 0; j < 2; ++j) {
          if (c * kChunk + dim0 + 8 * j >= p.op.v_dim) continue;
          add_product(out.v[m][c][j], high, low, b[j], exact);
        }
      }
    }
    __syncthreads();
  }
}

}  // namespace
}  // namespace llmrun::kernels::cuda
