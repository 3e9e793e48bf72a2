// What kernels and launchers share: launching, shared memory, small conversions, warp sums. The few
// things that CUDA and the emulation of the tests spell differently are here; kernels are otherwise
// plain CUDA C++ that also compiles for the host.
//
// Everything is internal to the including file: device code is never linked across files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#ifdef __CUDACC__
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#else
#include "cuda_emulation/cuda.h"
#endif

#include "kernels/cuda/queue.h"
#include "kernels/quant/float_formats.h"

#ifdef __CUDACC__
extern __shared__ uint4 llmrun_shared_memory[];  // as large as the launch says
#endif

namespace llmrun::kernels::cuda {
namespace {  // NOLINT(google-build-namespaces): see above

constexpr unsigned kAllLanes = ~0U;

// Before loops over arrays that must stay in registers.
#ifdef __CUDACC__
#define LLMRUN_UNROLL _Pragma("unroll")
#define LLMRUN_NO_UNROLL _Pragma("unroll 1")  // where more at once would not stay there
#else
#define LLMRUN_UNROLL
#define LLMRUN_NO_UNROLL
#endif

#ifdef __CUDACC__
constexpr size_t kSharedGap = 0;
#else
constexpr size_t kSharedGap = ::cuda_emulation::kGapBytes;
#endif
// Bytes of shared memory that an array takes.
template <typename T>
__host__ __device__ constexpr size_t shared_bytes(size_t n) {
  return (n * sizeof(T) + 15) / 16 * 16 + kSharedGap;
}

// Hands out arrays of the block's shared memory; every thread asks for the same ones in order.
class SharedMemory {
 public:
  template <typename T>
  __device__ T* array(size_t n) {
    const size_t start = used_;
    used_ += shared_bytes<T>(n);
#ifdef __CUDACC__
    return reinterpret_cast<T*>(reinterpret_cast<unsigned char*>(llmrun_shared_memory) + start);
#else
    return reinterpret_cast<T*>(
        ::cuda_emulation::shared_array(start, (n * sizeof(T) + 15) / 16 * 16));
#endif
  }

 private:
  size_t used_ = 0;
};

constexpr size_t kUsualShared = 48 << 10;  // a kernel that wants more has to ask for it

// Runs kernel(params) on every thread of the grid. An error of an earlier launch may come too.
template <typename Params>
cudaError_t launch(dim3 grid, unsigned threads, size_t shared, cudaStream_t stream,
                   void (*kernel)(Params), const Params& params) {
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return cudaSuccess;
  if (grid.y > 65535 || grid.z > 65535) return cudaErrorInvalidValue;
#ifdef __CUDACC__
  if (shared > kUsualShared) {
    const cudaError_t error = cudaFuncSetAttribute(
        kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared));
    if (error != cudaSuccess) return error;
  }
  kernel<<<grid, threads, shared, stream>>>(params);
  return cudaGetLastError();
#else
  ::cuda_emulation::enqueue(stream, [=] {
    ::cuda_emulation::run_grid({grid.x, grid.y, grid.z}, {threads, 1, 1}, shared,
                               [&] { kernel(params); });
  });
  return cudaSuccess;
#endif
}

template <typename Params>
cudaError_t run_launch(const Launch& what, const void* bytes, cudaStream_t stream) {
  alignas(Params) std::byte params[sizeof(Params)];
  std::memcpy(params, bytes, sizeof(Params));
  return launch({what.grid_x, what.grid_y, what.grid_z}, what.threads, what.shared, stream,
                reinterpret_cast<void (*)(Params)>(what.kernel),
                *reinterpret_cast<const Params*>(params));
}

// The same in the order of a queue. Steps are compared by the bytes of their parameters, so those
// between the members must say nothing. Arrays are the last members of parameters: of padding after
// one, g++ 12 clears the wrong bytes.
template <typename Params>
cudaError_t launch(dim3 grid, unsigned threads, size_t shared, Queue& queue, void (*kernel)(Params),
                   const Params& params) {
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return cudaSuccess;
  Params copy = params;
  Launch what;
#ifndef __clang__
  __builtin_clear_padding(&copy);
  __builtin_clear_padding(&what);
#endif
  what.run = run_launch<Params>;
  what.kernel = reinterpret_cast<void (*)()>(kernel);
  what.grid_x = grid.x;
  what.grid_y = grid.y;
  what.grid_z = grid.z;
  what.threads = threads;
  what.shared = shared;
  what.n_bytes = sizeof(Params);
  return queue.add(what, &copy);
}

// Blocks of `threads` that cover n elements, or 0 blocks when a grid cannot have so many.
constexpr unsigned kThreads = 256;
inline unsigned blocks_for(int64_t n, int64_t threads = kThreads) {
  const int64_t blocks = (n + threads - 1) / threads;
  return blocks > 0x7fffffff ? 0U : static_cast<unsigned>(blocks);
}
__device__ __forceinline__ int64_t thread_index() {
  return static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}

// A load of sizeof(T) bytes, which must lie at a multiple of that.
template <typename T>
__device__ __forceinline__ T load_as(const void* p) {
#ifdef __CUDACC__
  return *static_cast<const T*>(p);
#else
  if (reinterpret_cast<uintptr_t>(p) % sizeof(T) != 0) {
    ::cuda_emulation::fail("a load at an address that is not aligned");
  }
  T value;
  __builtin_memcpy(&value, p, sizeof(T));
  return value;
#endif
}

__device__ __forceinline__ float float_from_half(uint16_t bits) {
#ifdef __CUDACC__
  return __half2float(__ushort_as_half(bits));
#else
  return quant::float_from_f16(bits);
#endif
}

__device__ __forceinline__ float warp_sum(float v) {
  for (int bits = 16; bits > 0; bits /= 2) v += __shfl_xor_sync(kAllLanes, v, bits);
  return v;
}
__device__ __forceinline__ float warp_max(float v) {
  for (int bits = 16; bits > 0; bits /= 2) v = fmaxf(v, __shfl_xor_sync(kAllLanes, v, bits));
  return v;
}
// The sum over all threads of a block, for each of them; `scratch` has a float per warp. The order
// depends on the size of the block alone.
__device__ __forceinline__ float block_sum(float v, float* scratch) {
  v = warp_sum(v);
  if (blockDim.x <= 32) return v;
  if (threadIdx.x % 32 == 0) scratch[threadIdx.x / 32] = v;
  __syncthreads();
  float sum = 0.0F;
  for (unsigned i = 0; i < blockDim.x / 32; ++i) sum += scratch[i];
  __syncthreads();
  return sum;
}

// D += A * B of a warp: 16 x 8 x 16, int8 with sums in int32. Fragments: cuda_emulation/cuda.h.
__device__ __forceinline__ void mma_s8(int32_t (&d)[4], const uint32_t (&a)[2], uint32_t b) {
#ifdef __CUDACC__
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.s32.s8.s8.s32 "
      "{%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
      : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(b));
#else
  ::cuda_emulation::mma_m16n8k16_s8(d, a, b, ::cuda_emulation::Location::current());
#endif
}

// The part of x that a tensor core takes: 11 bits of its 24.
__device__ __forceinline__ float high_part(float x) {
  return quant::float_of(quant::bits_of(x) & 0xffffe000U);
}

// D += A * B of a warp: 16 x 8 x 8, values of 11 bits with sums in float. Fragments, with g = lane
// / 4 and t = lane % 4: A[g + 8 (i % 2)][t + 4 (i / 2)] is element i, B[t + 4 i][g], and D[g + 8 (i
// / 2)][2 t + i % 2].
__device__ __forceinline__ void mma_tf32(float (&d)[4], const float (&a)[4], const float (&b)[2]) {
#ifdef __CUDACC__
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(__float_as_uint(a[0])), "r"(__float_as_uint(a[1])), "r"(__float_as_uint(a[2])),
        "r"(__float_as_uint(a[3])), "r"(__float_as_uint(b[0])), "r"(__float_as_uint(b[1])));
#else
  ::cuda_emulation::mma_m16n8k8_tf32(d, a, b, ::cuda_emulation::Location::current());
#endif
}

// Two values as F16, the first one lower.
__device__ __forceinline__ uint32_t two_halves(float first, float second) {
#ifdef __CUDACC__
  const __half2 halves = __floats2half2_rn(first, second);
  uint32_t bits;
  memcpy(&bits, &halves, sizeof(bits));
  return bits;
#else
  return quant::f16_from_float(first) |
         (static_cast<uint32_t>(quant::f16_from_float(second)) << 16);
#endif
}

// D += A * B of a warp: 16 x 8 x 16, values of 16 bits (BF16 or F16) with sums in float. A word has
// two values side by side, the first one lower: word i of A those from A[g + 8 (i % 2)][2 t + 8 (i
// / 2)] on, word i of B those from B[2 t + 8 i][g] on. D as above.
template <bool kBf16>
__device__ __forceinline__ void mma_half(float (&d)[4], const uint32_t (&a)[4],
                                         const uint32_t (&b)[2]) {
#ifdef __CUDACC__
  if constexpr (kBf16) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  } else {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  }
#else
  ::cuda_emulation::mma_m16n8k16_half(d, a, b, kBf16, ::cuda_emulation::Location::current());
#endif
}

}  // namespace
}  // namespace llmrun::kernels::cuda
