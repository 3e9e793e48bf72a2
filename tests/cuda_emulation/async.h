// What a card of 9.0a does beside its threads: barriers in shared memory, copies by the copy engine
// and products of warp groups, by the PTX manual. All of it comes as late as it may: a copy when
// somebody waits for its barrier, a product when the warp waits for its group. What is read before
// holds garbage. Fences are not modelled: a missing one is found on a card only.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cuda_emulation/block.h"

namespace cuda_emulation {

// The offset in the shared memory of the block; a fault when p lies elsewhere.
uint32_t shared_address(const void* p);

void barrier_init(uint64_t* barrier, uint32_t count);
// One arrival, and `bytes` more that the phase waits for.
void barrier_arrive(uint64_t* barrier, uint32_t bytes);
// Until the phase of that parity has ended.
void barrier_wait(uint64_t* barrier, uint32_t parity, const Location& where);

// cp.async.bulk: `barrier` counts the bytes.
void bulk_copy(void* to, const void* from, uint32_t bytes, uint64_t* barrier);

// D = A * B of a warp group, 64 x 64 x 32, int8 with sums in int32; `a` and `b` are descriptors of
// matrices in shared memory without swizzling, K-major: pieces of 8 rows and 16 bytes lie at
// start + (row / 8) * stride offset + (byte / 16) * leading offset, 128 bytes each. Each warp makes
// its own 16 rows of D.
void wgmma_m64n64k32_s8(int32_t (&d)[32], uint64_t a, uint64_t b, const Location& where);
void wgmma_commit();
void wgmma_wait(const Location& where);  // for all groups

}  // namespace cuda_emulation
