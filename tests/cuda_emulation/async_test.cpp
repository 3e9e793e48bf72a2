// The emulation of what cards of 9.0a do beside their threads: against plain loops, and faults
// planted in kernels, which it must not let pass.
#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "cuda_emulation/refusal.h"
#include "kernels/cuda/warpgroup.cuh"

namespace llmrun::kernels::cuda {
namespace {

using ::testing::HasSubstr;

// ---- products ----------------------------------------------------------------------------------

enum class Fault : uint8_t { kNone, kNoCommit, kNoWait, kExchanged };

struct ProductTest {
  const int8_t* a;  // [64][32]
  const int8_t* b;  // [64][32]
  int32_t* d;       // [64][64]
  // Of both matrices in shared memory.
  uint32_t next_bytes, next_rows;
  Fault fault;
};
constexpr size_t kMatrix = 8192;

__device__ void place(int8_t* to, const int8_t* from, const ProductTest& p) {
  for (uint32_t i = threadIdx.x; i < 64 * 32; i += blockDim.x) {
    const uint32_t row = i / 32;
    const uint32_t byte = i % 32;
    to[row / 8 * p.next_rows + byte / 16 * p.next_bytes + row % 8 * 16 + byte % 16] = from[i];
  }
}
__global__ void one_product(ProductTest p) {
  SharedMemory shared;
  int8_t* const a = shared.array<int8_t>(kMatrix);
  int8_t* const b = shared.array<int8_t>(kMatrix);
  place(a, p.a, p);
  place(b, p.b, p);
  show_to_tensor_cores();
  __syncthreads();
  int32_t d[32] = {};
  const bool exchanged = p.fault == Fault::kExchanged;
  products_begin();
  product_s8(d,
             matrix_at(shared_address(a), exchanged ? p.next_rows : p.next_bytes,
                       exchanged ? p.next_bytes : p.next_rows),
             matrix_at(shared_address(b), p.next_bytes, p.next_rows));
  if (p.fault != Fault::kNoCommit) products_commit();
  if (p.fault != Fault::kNoWait) products_wait();
  products_are_in(d);
  const uint32_t lane = threadIdx.x % 32;
  for (uint32_t i = 0; i < 32; ++i) {
    const uint32_t row = threadIdx.x / 32 * 16 + lane / 4 + i / 2 % 2 * 8;
    p.d[row * 64 + i / 4 * 8 + lane % 4 * 2 + i % 2] = d[i];
  }
}

int n_wrong(uint32_t next_bytes, uint32_t next_rows, Fault fault = Fault::kNone) {
  std::vector<int8_t> a(64 * 32), b(64 * 32);
  for (size_t i = 0; i < a.size(); ++i) {
    a[i] = static_cast<int8_t>(i / 32 * 37 + i % 32 * 91 - 128);
    b[i] = static_cast<int8_t>(i / 32 * 53 - i % 32 * 29);
  }
  std::vector<int32_t> d(64 * 64);
  launch({1, 1, 1}, 128, 2 * shared_bytes<int8_t>(kMatrix), nullptr, one_product,
         ProductTest{a.data(), b.data(), d.data(), next_bytes, next_rows, fault});
  int wrong = 0;
  for (size_t i = 0; i < 64; ++i) {
    for (size_t j = 0; j < 64; ++j) {
      int32_t sum = 0;
      for (size_t k = 0; k < 32; ++k) sum += a[32 * i + k] * b[32 * j + k];
      wrong += d[64 * i + j] != sum ? 1 : 0;
    }
  }
  return wrong;
}

TEST(AsyncEmulation, ProductsOfWarpGroupsAreProductsOfMatrices) {
  EXPECT_EQ(n_wrong(1024, 128), 0);  // pieces of the same bytes side by side
  EXPECT_EQ(n_wrong(128, 256), 0);   // of the same rows
  EXPECT_EQ(n_wrong(4096, 144), 0);  // with gaps
}

TEST(AsyncEmulation, FaultsOfProductsAreSeen) {
  EXPECT_GT(n_wrong(1024, 128, Fault::kExchanged), 0);
  EXPECT_GT(n_wrong(1024, 128, Fault::kNoCommit), 0);
  EXPECT_GT(n_wrong(1024, 128, Fault::kNoWait), 0);
}

// ---- copies and barriers -----------------------------------------------------------------------

struct CopyTest {
  const int* from;
  int* out;
  int n_arrivals;  // of 3 that the barrier waits for
  bool waits;
  bool second_round;
  int skip_bytes;
};
__global__ void one_copy(CopyTest p) {
  SharedMemory shared;
  int* const values = shared.array<int>(64);
  auto* const barrier = shared.array<uint64_t>(1);
  if (threadIdx.x == 0) {
    barrier_init(barrier, 3);
    show_barriers();
  }
  __syncthreads();
  for (uint32_t round = 0; round < (p.second_round ? 2U : 1U); ++round) {
    if (threadIdx.x == 0) {
      barrier_expect(barrier, 256);
      copy_to_shared(values, reinterpret_cast<const char*>(p.from + 64 * round) + p.skip_bytes, 256,
                     barrier);
    }
    if (threadIdx.x % 32 == 0 && static_cast<int>(threadIdx.x / 32) < p.n_arrivals - 1) {
      barrier_arrive(barrier);
    }
    if (p.waits) barrier_wait(barrier, round % 2);
    p.out[threadIdx.x] = values[threadIdx.x];
    __syncthreads();
  }
}

TEST(AsyncEmulation, CopiesAreThereWhenTheirBarrierSaysSo) {
  alignas(16) int from[128];
  for (int i = 0; i < 128; ++i) from[i] = 7 * i;
  std::vector<int> out(64);
  const size_t shared = shared_bytes<int>(64) + shared_bytes<uint64_t>(1);
  const auto run = [&](const CopyTest& test) { return refusal(1, 64, shared, one_copy, test); };
  for (const bool twice : {false, true}) {
    for (const uint64_t seed : {1, 2, 3}) {
      cuda_emulation::options().seed = seed;
      EXPECT_EQ(run({from, out.data(), 3, true, twice, 0}), "");
      for (int i = 0; i < 64; ++i) EXPECT_EQ(out[static_cast<size_t>(i)], from[i + 64 * twice]);
    }
  }
  EXPECT_EQ(run({from, out.data(), 3, false, false, 0}), "");
  EXPECT_NE(out[5], from[5]) << "nobody waited";
  EXPECT_THAT(run({from, out.data(), 2, true, false, 0}), HasSubstr("deadlock"));
  EXPECT_THAT(run({from, out.data(), 3, true, false, 4}), HasSubstr("not aligned"));
}

struct NothingParams {};
__global__ void arrives_at_nothing(NothingParams) {
  SharedMemory shared;
  barrier_arrive(shared.array<uint64_t>(1));
}
__global__ void arrives_too_often(NothingParams) {
  SharedMemory shared;
  auto* const barrier = shared.array<uint64_t>(1);
  barrier_init(barrier, 1);
  barrier_expect(barrier, 16);
  barrier_arrive(barrier);
}

TEST(AsyncEmulation, FaultsOfBarriersAreSeen) {
  const size_t shared = shared_bytes<uint64_t>(1);
  EXPECT_THAT(refusal(1, 1, shared, arrives_at_nothing, NothingParams{}), HasSubstr("not made"));
  EXPECT_THAT(refusal(1, 1, shared, arrives_too_often, NothingParams{}),
              HasSubstr("more arrivals"));
}

}  // namespace
}  // namespace llmrun::kernels::cuda
