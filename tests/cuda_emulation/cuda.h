// The names of CUDA that kernels/cuda uses, for a host compiler. Nothing of the toolkit is needed.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "cuda_emulation/block.h"
#include "cuda_emulation/runtime.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __restrict__
#define __launch_bounds__(...)

struct Index3 {
  unsigned x = 0, y = 0, z = 0;
};
struct dim3 {
  unsigned x = 1, y = 1, z = 1;
};
extern Index3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;

struct alignas(16) uint4 {
  uint32_t x = 0, y = 0, z = 0, w = 0;
};
struct alignas(8) uint2 {
  uint32_t x = 0, y = 0;
};

namespace cuda_emulation {

template <typename T>
struct ShuffleFrame {
  T value;
  T result;
  unsigned source;
};

template <typename T>
T shuffle(unsigned mask, T value, unsigned source, const char* name, const Location& where) {
  static_assert(std::is_trivially_copyable_v<T>);
  ShuffleFrame<T> frame{value, value, source};
  meet(mask, name, where, &frame, [](void* const* frames, unsigned present) {
    for (unsigned i = 0; i < 32; ++i) {
      if ((present >> i & 1) == 0) continue;
      auto* const to = static_cast<ShuffleFrame<T>*>(frames[i]);
      if ((present >> to->source & 1) == 0) fail("a shuffle reads a lane that takes no part");
      to->result = static_cast<ShuffleFrame<T>*>(frames[to->source])->value;
    }
  });
  return frame.result;
}

// D = A * B + C of a warp, 16 x 8 x 16, int8 with sums in int32. Fragments as the PTX manual gives
// them: with g = lane / 4 and t = lane % 4, register r of A holds A[g + 8 r][4 t ..], B holds
// B[4 t ..][g], and D[g + 8 (i / 2)][2 t + i % 2] is element i.
void mma_m16n8k16_s8(int32_t (&d)[4], const uint32_t (&a)[2], uint32_t b, const Location& where);

// D = A * B + D of a warp, 16 x 8 x 8, values of 11 bits (what they have more is ignored) with sums
// in float. Element i of A is A[g + 8 (i % 2)][t + 4 (i / 2)], of B B[t + 4 i][g].
void mma_m16n8k8_tf32(float (&d)[4], const float (&a)[4], const float (&b)[2],
                      const Location& where);

// D = A * B + D of a warp, 16 x 8 x 16, values of 16 bits with sums in float. Word i of A holds
// A[g + 8 (i % 2)][2 t + 8 (i / 2)] and, higher, the one after it; of B B[2 t + 8 i][g] and the one
// below it.
void mma_m16n8k16_half(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], bool is_bf16,
                       const Location& where);

}  // namespace cuda_emulation

using CudaLocation = cuda_emulation::Location;

inline void __syncthreads(CudaLocation where = CudaLocation::current()) {
  cuda_emulation::sync_threads(where);
}
inline void __syncwarp(unsigned mask = ~0U, CudaLocation where = CudaLocation::current()) {
  cuda_emulation::meet(mask, "__syncwarp", where, nullptr, [](void* const*, unsigned) {});
}
template <typename T>
T __shfl_sync(unsigned mask, T value, int source, CudaLocation where = CudaLocation::current()) {
  return cuda_emulation::shuffle(mask, value, static_cast<unsigned>(source) % 32, "__shfl_sync",
                                 where);
}
template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int bits, CudaLocation where = CudaLocation::current()) {
  return cuda_emulation::shuffle(mask, value, cuda_emulation::lane() ^ static_cast<unsigned>(bits),
                                 "__shfl_xor_sync", where);
}

template <typename T>
T min(T a, T b) {
  return b < a ? b : a;
}
template <typename T>
T max(T a, T b) {
  return a < b ? b : a;
}
inline int __dp4a(int a, int b, int sum) {
  for (int i = 0; i < 32; i += 8) {
    sum += static_cast<int8_t>(static_cast<unsigned>(a) >> i) *
           static_cast<int8_t>(static_cast<unsigned>(b) >> i);
  }
  return sum;
}
// Each nibble of `select` names a byte of the eight of (a, b), the lowest first.
inline unsigned __byte_perm(unsigned a, unsigned b, unsigned select) {
  const uint64_t both = (static_cast<uint64_t>(b) << 32) | a;
  unsigned result = 0;
  for (unsigned i = 0; i < 4; ++i) {
    const unsigned byte = select >> (4 * i) & 7;
    result |= static_cast<unsigned>(both >> (8 * byte) & 0xff) << (8 * i);
  }
  return result;
}
