// Rotary embedding, and writing keys and values to the cache. A block takes a token, and makes the
// table of its angles once; a warp takes a head. Queries and keys are rotated, and keys and values
// written, in one launch where the ops come one after the other.
#include <algorithm>

#include "kernels/cuda/cache_rows.cuh"
#include "kernels/cuda/launchers.h"

namespace llmrun::kernels::cuda {
namespace {

constexpr int kMaxRopes = 2;
constexpr int kWarps = kThreads / 32;

struct RopeRows {
  Rows x;
  int64_t n_heads, head_stride, first_dim, n_pairs;
  bool split_halves;
  const int32_t* positions;
  const float* frequencies;
  float magnitude;
};
struct WriteRows {
  int64_t n_heads, k_dim, v_dim, k_stride, v_stride;
  CacheType k_type, v_type;
  bool latent;  // keys are values too
};
struct RotateParams {
  int n_ropes, key_rope;
  int64_t max_pairs;
  int64_t heads_of_block;  // of those of all ropes, keys that no rope has, and values
  int64_t n_heads;
  WriteRows write;
  const WritePlace* places;
  RopeRows ropes[kMaxRopes];
};

// Cosines and sines of one token.
struct AngleTable {
  float* cosines;  // [kMaxRopes][max_pairs]
  float* sines;    // the same
  int64_t max_pairs;

  static size_t bytes(int64_t max_pairs) {
    return 2 * shared_bytes<float>(static_cast<size_t>(kMaxRopes * max_pairs));
  }
  __device__ explicit AngleTable(int64_t pairs) : max_pairs(pairs) {
    SharedMemory shared;
    cosines = shared.array<float>(static_cast<size_t>(kMaxRopes * pairs));
    sines = shared.array<float>(static_cast<size_t>(kMaxRopes * pairs));
  }
  __device__ void fill(const RopeRows& p, int rope, int64_t row) const {
    for (int64_t i = threadIdx.x; i < p.n_pairs; i += kThreads) {
      const float angle = static_cast<float>(p.positions[row]) * p.frequencies[i];
      const auto magnitude = static_cast<double>(p.magnitude);
      cosines[rope * max_pairs + i] =
          static_cast<float>(cos(static_cast<double>(angle)) * magnitude);
      sines[rope * max_pairs + i] = static_cast<float>(sin(static_cast<double>(angle)) * magnitude);
    }
  }
  // A warp rotates a head.
  __device__ void rotate(const RopeRows& p, int rope, int64_t row, int64_t head) const {
    float* const x = p.x.data + row * p.x.stride + head * p.head_stride + p.first_dim;
    for (int64_t i = threadIdx.x % 32; i < p.n_pairs; i += 32) {
      if (p.frequencies[i] == 0.0F) continue;
      const float cosine = cosines[rope * max_pairs + i];
      const float sine = sines[rope * max_pairs + i];
      float& a = x[p.split_halves ? i : 2 * i];
      float& b = x[p.split_halves ? i + p.n_pairs : 2 * i + 1];
      const float a0 = a;
      const float b0 = b;
      a = a0 * cosine - b0 * sine;
      b = a0 * sine + b0 * cosine;
    }
  }
};

// A warp writes the keys, or the values, of a head.
__device__ __forceinline__ void write_keys(const WriteRows& p, const WritePlace& place, int64_t t,
                                           int64_t head) {
  write_cache_vector(
      place.k + t * p.k_stride + head * p.k_dim, p.k_dim,
      cache_vector(place.k_pages, p.k_type, p.k_dim, !p.latent, head, place.first_position + t));
}
__device__ __forceinline__ void write_values(const WriteRows& p, const WritePlace& place, int64_t t,
                                             int64_t head) {
  write_cache_vector(
      place.v + t * p.v_stride + head * p.v_dim, p.v_dim,
      cache_vector(place.v_pages, p.v_type, p.v_dim, false, head, place.first_position + t));
}

__global__ void __launch_bounds__(kThreads) rotate(RotateParams p) {
  const AngleTable angles(p.max_pairs);
  const int64_t t = blockIdx.x;
  WritePlace place{};
  if (p.places != nullptr) {
    place = p.places[blockIdx.z];
    if (t >= place.n_tokens) return;  // the whole block
  }
  const int64_t row = place.first_row + t;
  for (int rope = 0; rope < p.n_ropes; ++rope) angles.fill(p.ropes[rope], rope, row);
  __syncthreads();
  const int64_t first = blockIdx.y * p.heads_of_block;
  const int64_t end = min(first + p.heads_of_block, p.n_heads);
  for (int64_t i = first + threadIdx.x / 32; i < end; i += kWarps) {
    int64_t head = i;
    int rope = 0;
    while (rope < p.n_ropes && head >= p.ropes[rope].n_heads) head -= p.ropes[rope++].n_heads;
    if (rope < p.n_ropes) angles.rotate(p.ropes[rope], rope, row, head);
    const int64_t n_keys = p.key_rope < 0 ? p.write.n_heads : 0;  // that no rope has
    if (rope < p.n_ropes ? rope == p.key_rope : head < n_keys) {
      __syncwarp();
      write_keys(p.write, place, t, head);
    } else if (rope == p.n_ropes) {
      write_values(p.write, place, t, head - n_keys);
    }
  }
}

}  // namespace

cudaError_t launch_rotate(const RotateCall& call, Queue& queue) {
  RotateParams p{};
  p.n_ropes = call.n_ropes;
  p.key_rope = call.key_rope;
  int64_t n_rows = 0;
  for (int i = 0; i < call.n_ropes; ++i) {
    const auto& [op, positions] = call.ropes[static_cast<size_t>(i)];
    if (i > 0 && op.x.n != n_rows) return cudaErrorInvalidValue;
    p.ropes[i] = {op.x,         op.n_heads,     op.head_stride,
                  op.first_dim, op.n_pairs,     op.split_halves,
                  positions,    op.frequencies, op.magnitude};
    p.max_pairs = std::max(p.max_pairs, op.n_pairs);
    p.n_heads += op.n_heads;
    n_rows = op.x.n;
  }
  const WriteCall& write = call.write;
  int64_t n_places = 1;
  if (write.places != nullptr) {
    const KvWriteParams& op = write.op;
    const bool latent = op.v.data == nullptr;
    p.places = write.places;
    p.write = {op.n_kv_heads, op.k_dim,  op.v_dim,  op.k.stride,
               op.v.stride,   op.k_type, op.v_type, latent};
    p.n_heads += (call.key_rope < 0 ? op.n_kv_heads : 0) + (latent ? 0 : op.n_kv_heads);
    n_rows = write.max_tokens;
    n_places = write.n_places;
  }
  if (n_rows > 0x7fffffff) return cudaErrorInvalidValue;
  // Few tokens: a head per warp, and every block makes the table.
  constexpr int64_t kFewRows = 64;
  p.heads_of_block = n_rows * n_places < kFewRows ? kWarps : std::max<int64_t>(p.n_heads, 1);
  return launch({static_cast<unsigned>(n_rows), blocks_for(p.n_heads, p.heads_of_block),
                 static_cast<unsigned>(n_places)},
                kThreads, AngleTable::bytes(p.max_pairs), queue, rotate, p);
}

}  // namespace llmrun::kernels::cuda
