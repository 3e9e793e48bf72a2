// What 9.0a has beyond other cards, as plain functions: barriers in shared memory that count
// arrivals and bytes, copies by the copy engine, and products of a warp group of 128 threads. The
// emulation of the tests has all of them by the PTX manual (cuda_emulation/async.h).
#pragma once

#include "kernels/cuda/device.cuh"

#ifndef __CUDACC__
#include "cuda_emulation/async.h"
#endif

// Whether this pass of the compiler may use them.
#if !defined(__CUDACC__) || defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define LLMRUN_HAS_WARP_GROUPS 1
#else
#define LLMRUN_HAS_WARP_GROUPS 0
#endif

namespace llmrun::kernels::cuda {
namespace {  // NOLINT(google-build-namespaces): see device.cuh

#if LLMRUN_HAS_WARP_GROUPS

// The address within the shared memory of the block.
__device__ __forceinline__ uint32_t shared_address(const void* p) {
#ifdef __CUDACC__
  return static_cast<uint32_t>(__cvta_generic_to_shared(p));
#else
  return ::cuda_emulation::shared_address(p);
#endif
}

// ---- barriers ----------------------------------------------------------------------------------

// A phase ends when `count` threads have arrived and all bytes that were expected have come; the
// next one begins. Phases have parity 0, 1, 0, …
__device__ __forceinline__ void barrier_init(uint64_t* barrier, uint32_t count) {
#ifdef __CUDACC__
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(barrier)), "r"(count)
               : "memory");
#else
  ::cuda_emulation::barrier_init(barrier, count);
#endif
}
// After the last barrier_init(), by the thread that made them; a __syncthreads() follows.
__device__ __forceinline__ void show_barriers() {
#ifdef __CUDACC__
  asm volatile(
      "fence.mbarrier_init.release.cluster;\n"
      "fence.proxy.async.shared::cta;" ::
          : "memory");
#endif
}
__device__ __forceinline__ void barrier_arrive(uint64_t* barrier) {
#ifdef __CUDACC__
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(barrier))
               : "memory");
#else
  ::cuda_emulation::barrier_arrive(barrier, 0);
#endif
}
// Arrives, and lets the phase wait for so many bytes more.
__device__ __forceinline__ void barrier_expect(uint64_t* barrier, uint32_t bytes) {
#ifdef __CUDACC__
  asm volatile(
      "mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(barrier)),
      "r"(bytes)
      : "memory");
#else
  ::cuda_emulation::barrier_arrive(barrier, bytes);
#endif
}
// Returns when the phase of that parity has ended.
__device__ __forceinline__ void barrier_wait(uint64_t* barrier, uint32_t parity) {
#ifdef __CUDACC__
  const uint32_t address = shared_address(barrier);
  uint32_t done = 0;
  while (done == 0) {
    asm volatile(
        "{\n"
        ".reg .pred p;\n"
        "mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\n"
        "selp.u32 %0, 1, 0, p;\n"
        "}"
        : "=r"(done)
        : "r"(address), "r"(parity)
        : "memory");
  }
#else
  ::cuda_emulation::barrier_wait(barrier, parity, ::cuda_emulation::Location::current());
#endif
}

// ---- copies ------------------------------------------------------------------------------------

// Brings bytes to shared memory by and by; the barrier is told of each. Places and number are
// multiples of 16.
__device__ __forceinline__ void copy_to_shared(void* to, const void* from, uint32_t bytes,
                                               uint64_t* barrier) {
#ifdef __CUDACC__
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::
          "r"(shared_address(to)),
      "l"(__cvta_generic_to_global(from)), "r"(bytes), "r"(shared_address(barrier))
      : "memory");
#else
  ::cuda_emulation::bulk_copy(to, from, bytes, barrier);
#endif
}
// What the thread has written to shared memory is there for the tensor cores.
__device__ __forceinline__ void show_to_tensor_cores() {
#ifdef __CUDACC__
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
#endif
}

// ---- products ----------------------------------------------------------------------------------

// A matrix of int8 in shared memory, without swizzling: pieces of 8 rows and 16 bytes, each of 128
// bytes side by side. `next_bytes` from a piece to that of the next 16 bytes of the rows,
// `next_rows` to that of the next 8 rows.
__device__ __forceinline__ uint64_t matrix_at(uint32_t address, uint32_t next_bytes,
                                              uint32_t next_rows) {
  return static_cast<uint64_t>((address & 0x3ffffU) >> 4) |
         static_cast<uint64_t>((next_bytes & 0x3ffffU) >> 4) << 16 |
         static_cast<uint64_t>((next_rows & 0x3ffffU) >> 4) << 32;
}

// Registers that products write may be used by the thread before this, and again after
// products_wait().
__device__ __forceinline__ void products_begin() {
#ifdef __CUDACC__
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
#endif
}
__device__ __forceinline__ void products_commit() {
#ifdef __CUDACC__
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
#else
  ::cuda_emulation::wgmma_commit();
#endif
}
// All that was committed is done.
__device__ __forceinline__ void products_wait() {
#ifdef __CUDACC__
  asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory");
#else
  ::cuda_emulation::wgmma_wait(::cuda_emulation::Location::current());
#endif
}

// D = A * B of a warp group: 64 x 64 x 32, int8 with sums in int32. A is [64 rows][32 bytes], B
// [64 columns][32 bytes]. With w = warp of the group, g = lane / 4 and t = lane % 4, element i is
// D[16 w + g + 8 (i / 2 % 2)][8 (i / 4) + 2 t + i % 2].
__device__ __forceinline__ void product_s8(int32_t (&d)[32], uint64_t a, uint64_t b) {
#ifdef __CUDACC__
  asm volatile(
      "{\n"
      ".reg .pred p;\n"
      "setp.ne.b32 p, 0, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n64k32.s32.s8.s8 "
      "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31}, "
      "%32, %33, p;\n"
      "}"
      : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3]), "+r"(d[4]), "+r"(d[5]), "+r"(d[6]),
        "+r"(d[7]), "+r"(d[8]), "+r"(d[9]), "+r"(d[10]), "+r"(d[11]), "+r"(d[12]), "+r"(d[13]),
        "+r"(d[14]), "+r"(d[15]), "+r"(d[16]), "+r"(d[17]), "+r"(d[18]), "+r"(d[19]), "+r"(d[20]),
        "+r"(d[21]), "+r"(d[22]), "+r"(d[23]), "+r"(d[24]), "+r"(d[25]), "+r"(d[26]), "+r"(d[27]),
        "+r"(d[28]), "+r"(d[29]), "+r"(d[30]), "+r"(d[31])
      : "l"(a), "l"(b));
#else
  ::cuda_emulation::wgmma_m64n64k32_s8(d, a, b, ::cuda_emulation::Location::current());
#endif
}
// Keeps the compiler from moving what is read of d before a products_wait().
__device__ __forceinline__ void products_are_in(int32_t (&d)[32]) {
#ifdef __CUDACC__
  LLMRUN_UNROLL
  for (int32_t& value : d) asm volatile("" : "+r"(value)::"memory");
#else
  (void)d;
#endif
}

#endif  // LLMRUN_HAS_WARP_GROUPS

}  // namespace
}  // namespace llmrun::kernels::cuda
