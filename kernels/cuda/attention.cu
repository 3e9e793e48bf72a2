// Attention over the paged cache. A block takes kQueries queries (tokens and heads that read the
// same keys) and walks the context in tiles of a page with a streaming softmax. The context is cut
// into segments of kSegmentKeys keys whose results are merged in order, by one block that walks all
// of it or, when there are few queries, by a second kernel after many blocks: the arithmetic is the
// same, so the bits are, and neither the batch nor the neighbours of a query change them.
#include "kernels/cuda/cache_rows.cuh"
#include "kernels/cuda/launchers.h"
#include "kernels/cuda/math.cuh"
#include "kernels/cuda/sizes.h"

namespace llmrun::kernels::cuda {
namespace {

constexpr int kAttendThreads = 128;
constexpr int kQueries = 8;
constexpr int kTile = kPageTokens;
constexpr int kDimChunk = 64;
constexpr int kKeyStride = kDimChunk + 1;
constexpr int64_t kMaxKeyDim = 768;

struct AttendParams {
  AttentionParams op;  // its spans are not used
  const std::byte* const* k_pages;
  const std::byte* const* v_pages;
  float* partials;        // null: a block walks all segments; else [segment, row, v_dim + 2]
  float* carry;           // [row, v_dim + 2]: what earlier rounds merged
  int64_t first_segment;  // of this round
  int64_t n_segments;
  bool first_round, last_round;
};

// The keys that a query at `position` may see lie in [first, last].
struct KeyRange {
  int64_t first, last;
};
__device__ __host__ inline KeyRange key_range(const AttentionParams& p, int64_t position) {
  KeyRange range{0, p.n_keys - 1};
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

// The queries of a block: rows first.. of (token, head of the group) pairs, tokens outermost.
struct Queries {
  int64_t first, n, group, kv_head;
  __device__ int64_t token(int row) const { return (first + row) / group; }
  __device__ int64_t head(int row) const { return kv_head * group + (first + row) % group; }
};

struct Scratch {
  float* q;       // [kQueries][k_dim]
  float* keys;    // [kTile][kKeyStride]
  float* scores;  // [kQueries][kTile]
  float* largest;
  float* sums;
  float* factors;
};

// scores[row][key] of a tile, before the softmax. A thread takes a key and half of the queries.
__device__ void score_tile(const AttendParams& p, const Queries& queries, const Scratch& s,
                           int64_t tile) {
  constexpr int kEach = kQueries / 2;
  const int key = static_cast<int>(threadIdx.x) % kTile;
  const int row0 = static_cast<int>(threadIdx.x) / kTile * kEach;
  const int64_t n_keys = min(static_cast<int64_t>(kTile), p.op.n_keys - tile);
  float sums[kEach] = {};
  for (int64_t dim0 = 0; dim0 < p.op.k_dim; dim0 += kDimChunk) {
    const int n_dims = static_cast<int>(min(static_cast<int64_t>(kDimChunk), p.op.k_dim - dim0));
    for (int i = static_cast<int>(threadIdx.x); i < kTile * n_dims; i += kAttendThreads) {
      // In the order in which they lie, so that neighbours read neighbours.
      const int row = p.op.v_in_k ? i / n_dims : i % kTile;
      const int dim = p.op.v_in_k ? i % n_dims : i / kTile;
      float value = 0.0F;
      if (row < n_keys) {
        value = cache_value(cache_vector(p.k_pages, p.op.k_type, p.op.k_dim, !p.op.v_in_k,
                                         queries.kv_head, tile + row),
                            dim0 + dim);
      }
      s.keys[row * kKeyStride + dim] = value;
    }
    __syncthreads();
    for (int dim = 0; dim < n_dims; ++dim) {
      const float k = s.keys[key * kKeyStride + dim];
      for (int j = 0; j < kEach; ++j) {
        sums[j] = fmaf(s.q[(row0 + j) * p.op.k_dim + dim0 + dim], k, sums[j]);
      }
    }
    __syncthreads();
  }
  for (int j = 0; j < kEach; ++j) {
    const int row = row0 + j;
    float score = -INFINITY;
    if (row < queries.n && key < n_keys) {
      const int64_t position = p.op.first_position + queries.token(row);
      const KeyRange range = key_range(p.op, position);
      const int64_t at = tile + key;
      if (at >= range.first && at <= range.last) {
        score = soft_cap(sums[j] * p.op.scale, p.op.soft_cap);
        if (p.op.alibi_slopes != nullptr) {
          const int64_t distance = position > at ? position - at : at - position;
          score -= p.op.alibi_slopes[queries.head(row)] * static_cast<float>(distance);
        }
      }
    }
    s.scores[row * kTile + key] = score;
  }
  __syncthreads();
}

// Turns the scores of a tile into weights and updates the running softmax; a warp takes two rows.
__device__ void weigh_tile(const Scratch& s) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  for (int j = 0; j < kQueries / 4; ++j) {
    const int row = static_cast<int>(threadIdx.x / 32) * (kQueries / 4) + j;
    float* const scores = s.scores + row * kTile;
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

template <int kDims>
struct Outputs {
  float v[kQueries][kDims] = {};
};

// Adds the weighted values of a tile; a thread takes every 128th dim.
template <int kDims>
__device__ void add_values(const AttendParams& p, const Queries& queries, const Scratch& s,
                           int64_t tile, Outputs<kDims>& out) {
  const CacheType type = p.op.v_in_k ? p.op.k_type : p.op.v_type;
  const int64_t row_dim = p.op.v_in_k ? p.op.k_dim : p.op.v_dim;
  const std::byte* const* const pages = p.op.v_in_k ? p.k_pages : p.v_pages;
  const int n_keys = static_cast<int>(min(static_cast<int64_t>(kTile), p.op.n_keys - tile));
  for (int row = 0; row < kQueries; ++row) {
    for (int j = 0; j < kDims; ++j) out.v[row][j] *= s.factors[row];
  }
  for (int key = 0; key < n_keys; ++key) {
    const CacheVector from = cache_vector(pages, type, row_dim, false, queries.kv_head, tile + key);
    for (int j = 0; j < kDims; ++j) {
      const int64_t dim = threadIdx.x + j * kAttendThreads;
      if (dim >= p.op.v_dim) break;
      const float value = cache_value(from, dim);
      for (int row = 0; row < kQueries; ++row) {
        out.v[row][j] = fmaf(s.scores[row * kTile + key], value, out.v[row][j]);
      }
    }
  }
  __syncthreads();
}

// One segment, cut to the keys [first, last]; what is not visible to a query leaves it as it is.
template <int kDims>
__device__ void attend_segment(const AttendParams& p, const Queries& queries, const Scratch& s,
                               int64_t segment, const KeyRange& keys, Outputs<kDims>& out) {
  out = Outputs<kDims>{};
  if (threadIdx.x < kQueries) {
    s.largest[threadIdx.x] = -INFINITY;
    s.sums[threadIdx.x] = 0.0F;
  }
  __syncthreads();
  const int64_t begin = max(segment * kSegmentKeys, keys.first / kTile * kTile);
  const int64_t end = min((segment + 1) * kSegmentKeys, keys.last + 1);
  for (int64_t tile = begin; tile < end; tile += kTile) {
    score_tile(p, queries, s, tile);
    weigh_tile(s);
    add_values<kDims>(p, queries, s, tile, out);
  }
}

template <int kDims>
__global__ void __launch_bounds__(kAttendThreads) attend(AttendParams p) {
  SharedMemory shared;
  Scratch s{};
  s.q = shared.array<float>(static_cast<size_t>(kQueries * p.op.k_dim));
  s.keys = shared.array<float>(kTile * kKeyStride);
  s.scores = shared.array<float>(kQueries * kTile);
  s.largest = shared.array<float>(kQueries);
  s.sums = shared.array<float>(kQueries);
  s.factors = shared.array<float>(kQueries);
  Queries queries{};
  queries.group = p.op.n_heads / p.op.n_kv_heads;
  queries.kv_head = blockIdx.y;
  queries.first = static_cast<int64_t>(blockIdx.x) * kQueries;
  queries.n = min(static_cast<int64_t>(kQueries), p.op.q.n * queries.group - queries.first);
  for (int64_t i = threadIdx.x; i < kQueries * p.op.k_dim; i += kAttendThreads) {
    const int row = static_cast<int>(i / p.op.k_dim);
    s.q[i] = row < queries.n ? p.op.q.data[queries.token(row) * p.op.q.stride +
                                           queries.head(row) * p.op.k_dim + i % p.op.k_dim]
                             : 0.0F;
  }
  const int last_row = static_cast<int>(queries.n) - 1;
  const KeyRange keys{key_range(p.op, p.op.first_position + queries.token(0)).first,
                      key_range(p.op, p.op.first_position + queries.token(last_row)).last};
  Outputs<kDims> part;
  if (p.partials != nullptr) {
    attend_segment<kDims>(p, queries, s, p.first_segment + blockIdx.z, keys, part);
    __syncthreads();
    for (int row = 0; row < static_cast<int>(queries.n); ++row) {
      const int64_t index = queries.token(row) * p.op.n_heads + queries.head(row);
      float* const to =
          p.partials +
          (static_cast<int64_t>(blockIdx.z) * p.op.q.n * p.op.n_heads + index) * (p.op.v_dim + 2);
      if (threadIdx.x == 0) {
        to[0] = s.largest[row];
        to[1] = s.sums[row];
      }
      for (int j = 0; j < kDims; ++j) {
        const int64_t dim = threadIdx.x + j * kAttendThreads;
        if (dim < p.op.v_dim) to[2 + dim] = part.v[row][j];
      }
    }
    return;
  }
  Outputs<kDims> total;
  Running running[kQueries];
  for (int row = 0; row < kQueries; ++row) {
    if (row < queries.n) running[row] = begin_softmax(p.op, queries.head(row));
  }
  for (int64_t segment = keys.first / kSegmentKeys; segment * kSegmentKeys <= keys.last;
       ++segment) {
    attend_segment<kDims>(p, queries, s, segment, keys, part);
    for (int row = 0; row < kQueries; ++row) {
      const MergeFactors factors = merge(running[row], s.largest[row], s.sums[row]);
      for (int j = 0; j < kDims; ++j) {
        total.v[row][j] = merged(factors, total.v[row][j], part.v[row][j]);
      }
    }
    __syncthreads();  // before the next segment resets the sums
  }
  for (int row = 0; row < kQueries && row < queries.n; ++row) {
    float* const y =
        p.op.y.data + queries.token(row) * p.op.y.stride + queries.head(row) * p.op.v_dim;
    for (int j = 0; j < kDims; ++j) {
      const int64_t dim = threadIdx.x + j * kAttendThreads;
      if (dim < p.op.v_dim) {
        y[dim] = running[row].sum > 0.0F ? total.v[row][j] / running[row].sum : 0.0F;
      }
    }
  }
}

// Merges the segments of a round; a block per query.
__global__ void __launch_bounds__(kAttendThreads) merge_segments(AttendParams p) {
  const int64_t index = blockIdx.x;
  const int64_t token = index / p.op.n_heads;
  const int64_t head = index % p.op.n_heads;
  const int64_t stride = p.op.v_dim + 2;
  float* const carry = p.carry + index * stride;
  const Running before = p.first_round ? begin_softmax(p.op, head) : Running{carry[0], carry[1]};
  __syncthreads();  // all have read what thread 0 writes below
  for (int64_t dim = threadIdx.x; dim < p.op.v_dim; dim += kAttendThreads) {
    Running running = before;
    float total = p.first_round ? 0.0F : carry[2 + dim];
    for (int64_t i = 0; i < p.n_segments; ++i) {
      const float* const part = p.partials + (i * p.op.q.n * p.op.n_heads + index) * stride;
      total = merged(merge(running, part[0], part[1]), total, part[2 + dim]);
    }
    if (p.last_round) {
      p.op.y.data[token * p.op.y.stride + head * p.op.v_dim + dim] =
          running.sum > 0.0F ? total / running.sum : 0.0F;
      continue;
    }
    carry[2 + dim] = total;
    if (dim == 0) {
      carry[0] = running.largest;
      carry[1] = running.sum;
    }
  }
}

// ---- writing -----------------------------------------------------------------------------------

struct WriteParams {
  KvWriteParams op;
  std::byte* const* k_pages;
  std::byte* const* v_pages;
};

// A warp per token and head, for keys (blockIdx.y 0) and values.
__global__ void __launch_bounds__(kThreads) kv_write(WriteParams p) {
  const int64_t index = thread_index() / 32;
  if (index >= p.op.k.n * p.op.n_kv_heads) return;
  const int64_t t = index / p.op.n_kv_heads;
  const int64_t head = index % p.op.n_kv_heads;
  const int64_t position = p.op.first_position + t;
  if (blockIdx.y == 0) {
    const bool latent = p.op.v.data == nullptr;
    write_cache_vector(p.op.k.data + t * p.op.k.stride + head * p.op.k_dim, p.op.k_dim,
                       cache_vector(p.k_pages, p.op.k_type, p.op.k_dim, !latent, head, position));
  } else {
    write_cache_vector(p.op.v.data + t * p.op.v.stride + head * p.op.v_dim, p.op.v_dim,
                       cache_vector(p.v_pages, p.op.v_type, p.op.v_dim, false, head, position));
  }
}

size_t attend_shared(int64_t k_dim) {
  return shared_bytes<float>(static_cast<size_t>(kQueries * k_dim)) +
         shared_bytes<float>(kTile * kKeyStride) + shared_bytes<float>(kQueries * kTile) +
         3 * shared_bytes<float>(kQueries);
}

cudaError_t launch_attend(const AttendParams& p, unsigned n_segments, cudaStream_t stream) {
  const int64_t group = p.op.n_heads / p.op.n_kv_heads;
  const dim3 grid{blocks_for(p.op.q.n * group, kQueries), static_cast<unsigned>(p.op.n_kv_heads),
                  n_segments};
  const size_t shared = attend_shared(p.op.k_dim);
  const int64_t dims = (p.op.v_dim + kAttendThreads - 1) / kAttendThreads;
  if (dims <= 1) return launch(grid, kAttendThreads, shared, stream, attend<1>, p);
  if (dims <= 2) return launch(grid, kAttendThreads, shared, stream, attend<2>, p);
  if (dims <= 4) return launch(grid, kAttendThreads, shared, stream, attend<4>, p);
  return cudaErrorInvalidValue;
}

}  // namespace

cudaError_t launch_kv_write(const KvWriteParams& op, std::byte* const* k_pages,
                            std::byte* const* v_pages, cudaStream_t stream) {
  const WriteParams p{op, k_pages, v_pages};
  const unsigned blocks = blocks_for(op.k.n * op.n_kv_heads * 32);
  if (blocks == 0 && op.k.n > 0) return cudaErrorInvalidValue;
  return launch({blocks, op.v.data == nullptr ? 1U : 2U, 1}, kThreads, 0, stream, kv_write, p);
}

cudaError_t launch_attention(const AttentionParams& op, std::byte* const* k_pages,
                             std::byte* const* v_pages, float* scratch, cudaStream_t stream) {
  if (op.n_kv_heads < 1 || op.n_heads % op.n_kv_heads != 0 || op.k_dim > kMaxKeyDim) {
    return cudaErrorInvalidValue;
  }
  AttendParams p{op, k_pages, v_pages, nullptr, nullptr, 0, 0, true, true};
  if (op.q.n > kSplitTokens) return launch_attend(p, 1, stream);
  const int64_t n_rows = op.q.n * op.n_heads;
  p.partials = scratch;
  p.carry = scratch + kRoundSegments * n_rows * (op.v_dim + 2);
  const int64_t first = key_range(op, op.first_position).first / kSegmentKeys;
  const int64_t last = key_range(op, op.first_position + op.q.n - 1).last / kSegmentKeys;
  for (int64_t segment = first; segment <= last; segment += kRoundSegments) {
    p.first_segment = segment;
    p.n_segments = last - segment + 1 < kRoundSegments ? last - segment + 1 : kRoundSegments;
    p.first_round = segment == first;
    p.last_round = segment + kRoundSegments > last;
    const cudaError_t error = launch_attend(p, static_cast<unsigned>(p.n_segments), stream);
    if (error != cudaSuccess) return error;
    const cudaError_t merging =
        launch({static_cast<unsigned>(n_rows), 1, 1}, kAttendThreads, 0, stream, merge_segments, p);
    if (merging != cudaSuccess) return merging;
  }
  return cudaSuccess;
}

}  // namespace llmrun::kernels::cuda
