// Attention over the paged cache. A block takes 16 or 32 rows (pairs of a token and a head that
// read the same keys) and walks the context in tiles of a page with a streaming softmax. The
// context is cut into segments of kSegmentKeys keys whose results are merged in order, by one block
// that walks all of it or, when there are few tokens, by a second kernel after many blocks: the
// arithmetic is the same, so the bits are, and neither the batch nor the neighbours of a row change
// them.
#include <bit>

#include "kernels/cuda/attend_tile.cuh"
#include "kernels/cuda/quantize.cuh"
#include "kernels/cuda/sizes.h"

namespace llmrun::kernels::cuda {
namespace {

// ---- segments ----------------------------------------------------------------------------------

// One segment, cut to the keys [first, last]; what is not visible to a row leaves it as it is.
template <int kTiles, int kChunks>
__device__ __forceinline__ void attend_segment(const AttendParams& p, const AttendPlace& place,
                                               const Queries& queries,
                                               const Scratch<kTiles * kRowTile>& s, int64_t segment,
                                               const KeyRange& keys,
                                               Outputs<kTiles, kChunks>& out) {
  out.each([](int, int, float& value) { value = 0.0F; });
  if (threadIdx.x < kTiles * kRowTile) {
    s.largest[threadIdx.x] = -INFINITY;
    s.sums[threadIdx.x] = 0.0F;
  }
  __syncthreads();
  const int64_t begin = max(segment * kSegmentKeys, keys.first / kTile * kTile);
  const int64_t end = min((segment + 1) * kSegmentKeys, keys.last + 1);
  for (int64_t tile = begin; tile < end; tile += kTile) {
    score_tile<kTiles>(p, place, queries, s, tile);
    weigh_tile(s);
    add_values(p, place, queries, s, tile, out);
  }
}

// What a block of the split form leaves for merge_segments().
template <int kTiles, int kChunks>
__device__ __forceinline__ void write_part(const AttendParams& p, const AttendPlace& place,
                                           const Queries& queries,
                                           const Scratch<kTiles * kRowTile>& s, int64_t segment,
                                           Outputs<kTiles, kChunks>& part) {
  const auto at = [&](int row) {
    const int64_t token = segment * p.n_tokens + place.first_row + queries.token(row);
    return p.partials + (token * p.op.n_heads + queries.head(row)) * (p.op.v_dim + 2);
  };
  const int row = static_cast<int>(threadIdx.x);
  if (row < kTiles * kRowTile && row < queries.n) {
    at(row)[0] = s.largest[row];
    at(row)[1] = s.sums[row];
  }
  part.each([&](int r, int dim, float value) {
    if (r < queries.n && dim < p.op.v_dim) at(r)[2 + dim] = value;
  });
}

// Walks all segments and writes the outputs.
template <int kTiles, int kChunks>
__device__ __forceinline__ void attend_whole(const AttendParams& p, const AttendPlace& place,
                                             const Queries& queries,
                                             const Scratch<kTiles * kRowTile>& s,
                                             const KeyRange& keys) {
  Outputs<kTiles, kChunks> part, total;
  for (int64_t segment = keys.first / kSegmentKeys; segment * kSegmentKeys <= keys.last;
       ++segment) {
    attend_segment(p, place, queries, s, segment, keys, part);
    const int row = static_cast<int>(threadIdx.x);
    if (row < kTiles * kRowTile) {
      s.merging[row] = merge(s.totals[row], s.largest[row], s.sums[row]);
    }
    __syncthreads();
    total.each([&](int r, int, float& sum, float more) { sum = merged(s.merging[r], sum, more); },
               part);
  }
  total.each([&](int row, int dim, float value) {
    if (row >= queries.n || dim >= p.op.v_dim) return;
    const float sum = s.totals[row].sum;
    place.y[queries.token(row) * p.op.y.stride + queries.head(row) * p.op.v_dim + dim] =
        sum > 0.0F ? value / sum : 0.0F;
  });
}

template <int kTiles, int kChunks>
__global__ void __launch_bounds__(kAttendThreads, 2) attend(AttendParams p) {
  constexpr int kRows = kTiles * kRowTile;
  const AttendPlace place = p.places[blockIdx.z / p.n_segments];
  Queries queries{};
  queries.group = static_cast<int>(p.op.n_heads / p.op.n_kv_heads);
  queries.kv_head = static_cast<int>(blockIdx.y);
  queries.first = static_cast<int>(blockIdx.x) * kRows;
  queries.n = min(kRows, static_cast<int>(place.n_tokens) * queries.group - queries.first);
  const int64_t part = blockIdx.z % p.n_segments;
  const int64_t segment = place.first_segment + p.segment0 + part;
  // The whole block leaves.
  if (queries.n <= 0 || (p.partials != nullptr && segment > place.last_segment)) return;
  const Scratch<kRows> s(p.op.k_dim);
  s.load(p, place, queries);
  const KeyRange keys{s.ranges[0].first, s.ranges[queries.n - 1].last};
  if (p.partials == nullptr) {
    attend_whole<kTiles, kChunks>(p, place, queries, s, keys);
    return;
  }
  Outputs<kTiles, kChunks> out;
  attend_segment(p, place, queries, s, segment, keys, out);
  __syncthreads();
  write_part(p, place, queries, s, part, out);
}

// Merges the segments of a round; a block per token and head.
__global__ void __launch_bounds__(kAttendThreads) merge_segments(AttendParams p) {
  const AttendPlace place = p.places[blockIdx.y];
  const int64_t token = blockIdx.x / p.op.n_heads;
  const int64_t head = blockIdx.x % p.op.n_heads;
  const int64_t first = place.first_segment + p.segment0;
  const bool first_round = p.segment0 == 0;
  if (token >= place.n_tokens || (!first_round && first > place.last_segment)) return;
  const int64_t n_segments = min(p.n_segments, place.last_segment - first + 1);
  const bool last_round = first + n_segments > place.last_segment;
  const int64_t stride = p.op.v_dim + 2;
  const int64_t index = (place.first_row + token) * p.op.n_heads + head;
  float* const carry = p.carry + index * stride;
  const Running before = first_round ? begin_softmax(p.op, head) : Running{carry[0], carry[1]};
  __syncthreads();  // all have read what thread 0 writes below
  for (int64_t dim = threadIdx.x; dim < p.op.v_dim; dim += kAttendThreads) {
    Running running = before;
    float total = first_round ? 0.0F : carry[2 + dim];
    for (int64_t i = 0; i < n_segments; ++i) {
      const float* const part = p.partials + (i * p.n_tokens * p.op.n_heads + index) * stride;
      total = merged(merge(running, part[0], part[1]), total, part[2 + dim]);
    }
    if (last_round) {
      const float y = running.sum > 0.0F ? total / running.sum : 0.0F;
      place.y[token * p.op.y.stride + head * p.op.v_dim + dim] = y;
      if (p.quantized.q != nullptr) write_quantized(y, index * p.op.v_dim + dim, p.quantized);
      continue;
    }
    carry[2 + dim] = total;
    if (dim == 0) {
      carry[0] = running.largest;
      carry[1] = running.sum;
    }
  }
}

// ---- launching ---------------------------------------------------------------------------------

template <int kTiles, int kChunks>
cudaError_t launch_rows(const AttendParams& p, const AttendCall& call, Queue& queue) {
  const int64_t rows = call.max_tokens * (call.op.n_heads / call.op.n_kv_heads);
  const dim3 grid{blocks_for(rows, kTiles * kRowTile), static_cast<unsigned>(call.op.n_kv_heads),
                  static_cast<unsigned>(call.n_places * p.n_segments)};
  return launch(grid, kAttendThreads, Scratch<kTiles * kRowTile>::bytes(call.op.k_dim), queue,
                attend<kTiles, kChunks>, p);
}

template <int kChunks>
cudaError_t launch_chunks(const AttendParams& p, const AttendCall& call, Queue& queue) {
  if constexpr (kChunks <= 4) {  // shared memory and registers have room for twice the rows
    const int64_t rows = call.max_tokens * (call.op.n_heads / call.op.n_kv_heads);
    if (rows > kRowTile && call.op.k_dim <= 512) return launch_rows<2, kChunks>(p, call, queue);
  }
  return launch_rows<1, kChunks>(p, call, queue);
}

cudaError_t launch_attend(const AttendParams& p, const AttendCall& call, Queue& queue) {
  const int64_t chunks = (call.op.v_dim + kChunk - 1) / kChunk;
  if (chunks <= 1) return launch_chunks<1>(p, call, queue);
  if (chunks <= 2) return launch_chunks<2>(p, call, queue);
  if (chunks <= 4) return launch_chunks<4>(p, call, queue);
  if (chunks <= 8) return launch_chunks<8>(p, call, queue);
  return cudaErrorInvalidValue;
}

}  // namespace

void set_segments(const AttentionParams& op, AttendPlace& place) {
  const int64_t last_position = place.first_position + place.n_tokens - 1;
  place.first_segment = key_range(op, place.n_keys, place.first_position).first / kSegmentKeys;
  place.last_segment = key_range(op, place.n_keys, last_position).last / kSegmentKeys;
}

cudaError_t launch_attention(const AttendCall& call, Queue& queue) {
  if (call.op.n_kv_heads < 1 || call.op.n_heads % call.op.n_kv_heads != 0 ||
      call.op.k_dim > kMaxKeyDim ||
      (call.quantized.q != nullptr && (call.scratch == nullptr || call.op.v_dim % 32 != 0)) ||
      call.max_tokens * (call.op.n_heads / call.op.n_kv_heads) > INT32_MAX) {
    return cudaErrorInvalidValue;
  }
  AttendParams p{call.op, call.places, nullptr, nullptr, call.n_tokens, 0, 1, call.quantized};
  p.op.q.data = nullptr;
  p.op.y.data = nullptr;
  p.op.q.n = p.op.y.n = 0;
  p.op.pages = {};
  p.op.first_position = p.op.n_keys = 0;
  if (call.scratch == nullptr) return launch_attend(p, call, queue);
  if (call.n_tokens > kMaxSplitRows) return cudaErrorInvalidValue;
  // A power of two, so that the launches stay the same while texts grow.
  const auto all = static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(call.max_segments)));
  p.n_segments = all < kSplitPartials / call.n_tokens ? all : kSplitPartials / call.n_tokens;
  p.partials = call.scratch;
  p.carry = call.scratch + kSplitPartials * call.op.n_heads * (call.op.v_dim + 2);
  const dim3 merging{blocks_for(call.max_tokens * call.op.n_heads, 1),
                     static_cast<unsigned>(call.n_places), 1};
  for (p.segment0 = 0; p.segment0 < all; p.segment0 += p.n_segments) {
    const cudaError_t error = launch_attend(p, call, queue);
    if (error != cudaSuccess) return error;
    const cudaError_t merge_error = launch(merging, kAttendThreads, 0, queue, merge_segments, p);
    if (merge_error != cudaSuccess) return merge_error;
  }
  return cudaSuccess;
}

}  // namespace llmrun::kernels::cuda
