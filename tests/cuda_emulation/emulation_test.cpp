// The emulation itself: its operations against plain loops, and faults planted in kernels, which
// it must not let pass. A test of kernels is worth as much as the faults it finds.
#include <gmock/gmock.h>

#include <algorithm>
#include <string>
#include <vector>

#include "cuda_emulation/refusal.h"
#include "kernels/cuda/device.cuh"

namespace llmrun::kernels::cuda {
namespace {

using ::testing::HasSubstr;

// ---- operations --------------------------------------------------------------------------------

struct MmaParams {
  const int8_t* a;  // [16][16]
  const int8_t* b;  // [8][16]: column by column
  int32_t* d;       // [16][8]
};
__global__ void one_mma(MmaParams p) {
  const int g = static_cast<int>(threadIdx.x) / 4;
  const int t = static_cast<int>(threadIdx.x) % 4;
  const uint32_t a[2] = {load_as<uint32_t>(p.a + g * 16 + 4 * t),
                         load_as<uint32_t>(p.a + (g + 8) * 16 + 4 * t)};
  int32_t d[4] = {1, 1, 1, 1};
  mma_s8(d, a, load_as<uint32_t>(p.b + g * 16 + 4 * t));
  for (int i = 0; i < 4; ++i) p.d[(g + i / 2 * 8) * 8 + 2 * t + i % 2] = d[i];
}

TEST(Emulation, MmaIsAProductOfMatrices) {
  alignas(16) int8_t a[16][16], b[8][16];
  int32_t d[16][8];
  for (int i = 0; i < 16; ++i) {
    for (int k = 0; k < 16; ++k) a[i][k] = static_cast<int8_t>(37 * i + 91 * k - 128);
  }
  for (int j = 0; j < 8; ++j) {
    for (int k = 0; k < 16; ++k) b[j][k] = static_cast<int8_t>(53 * j - 29 * k);
  }
  launch({1, 1, 1}, 32, 0, nullptr, one_mma, MmaParams{&a[0][0], &b[0][0], &d[0][0]});
  for (int i = 0; i < 16; ++i) {
    for (int j = 0; j < 8; ++j) {
      int32_t sum = 1;
      for (int k = 0; k < 16; ++k) sum += a[i][k] * b[j][k];
      EXPECT_EQ(d[i][j], sum) << i << ", " << j;
    }
  }
}

struct FloatMmaParams {
  const float* a;  // [16][8]
  const float* b;  // [8][8]: column by column
  float* d;        // [16][8]
};
__global__ void one_float_mma(FloatMmaParams p) {
  const int g = static_cast<int>(threadIdx.x) / 4;
  const int t = static_cast<int>(threadIdx.x) % 4;
  float a[4], b[2], d[4] = {1, 1, 1, 1};
  for (int i = 0; i < 4; ++i) a[i] = p.a[(g + i % 2 * 8) * 8 + t + i / 2 * 4];
  for (int i = 0; i < 2; ++i) b[i] = p.b[g * 8 + t + 4 * i];
  mma_tf32(d, a, b);
  for (int i = 0; i < 4; ++i) p.d[(g + i / 2 * 8) * 8 + 2 * t + i % 2] = d[i];
}

TEST(Emulation, FloatMmaTakesElevenBits) {
  float a[16][8], b[8][8], d[16][8];
  for (int k = 0; k < 8; ++k) {
    for (int i = 0; i < 16; ++i) a[i][k] = static_cast<float>(37 * i - 91 * k) + 1e-4F;
    for (int j = 0; j < 8; ++j) b[j][k] = static_cast<float>(53 * j - 29 * k);
  }
  launch({1, 1, 1}, 32, 0, nullptr, one_float_mma, FloatMmaParams{&a[0][0], &b[0][0], &d[0][0]});
  for (int i = 0; i < 16; ++i) {
    for (int j = 0; j < 8; ++j) {
      float sum = 1;
      for (int k = 0; k < 8; ++k) sum += high_part(a[i][k]) * b[j][k];
      EXPECT_EQ(d[i][j], sum) << i << ", " << j;
    }
  }
  EXPECT_EQ(high_part(1.0F + 0x1p-10F + 0x1p-11F), 1.0F + 0x1p-10F);
}

struct HalfMmaParams {
  const float* a;  // [16][16]
  const float* b;  // [8][16]: column by column
  float* d;        // [16][8]
  bool bf16;
};
__global__ void one_half_mma(HalfMmaParams p) {
  const int g = static_cast<int>(threadIdx.x) / 4;
  const int t = static_cast<int>(threadIdx.x) % 4;
  const auto words = [&](const float* from) {
    return p.bf16 ? quant::bits_of(from[0]) >> 16 | (quant::bits_of(from[1]) & 0xffff0000U)
                  : two_halves(from[0], from[1]);
  };
  uint32_t a[4], b[2];
  float d[4] = {1, 1, 1, 1};
  for (int i = 0; i < 4; ++i) a[i] = words(p.a + (g + i % 2 * 8) * 16 + 2 * t + i / 2 * 8);
  for (int i = 0; i < 2; ++i) b[i] = words(p.b + g * 16 + 2 * t + 8 * i);
  if (p.bf16) {
    mma_half<true>(d, a, b);
  } else {
    mma_half<false>(d, a, b);
  }
  for (int i = 0; i < 4; ++i) p.d[(g + i / 2 * 8) * 8 + 2 * t + i % 2] = d[i];
}

TEST(Emulation, MmaOfSixteenBitsIsAProductOfMatrices) {
  float a[16][16], b[8][16], d[16][8];
  for (int k = 0; k < 16; ++k) {
    for (int i = 0; i < 16; ++i) a[i][k] = static_cast<float>((37 * i + 91 * k) % 127 - 60);
    for (int j = 0; j < 8; ++j) b[j][k] = static_cast<float>((53 * j + 29 * k) % 61 - 30) / 8.0F;
  }
  for (const bool bf16 : {true, false}) {
    launch({1, 1, 1}, 32, 0, nullptr, one_half_mma,
           HalfMmaParams{&a[0][0], &b[0][0], &d[0][0], bf16});
    for (int i = 0; i < 16; ++i) {
      for (int j = 0; j < 8; ++j) {
        float sum = 1;
        for (int k = 0; k < 16; ++k) sum += a[i][k] * b[j][k];
        EXPECT_EQ(d[i][j], sum) << i << ", " << j << (bf16 ? " bf16" : " f16");
      }
    }
  }
}

struct OutParams {
  int* out;
};
__global__ void shuffles(OutParams p) {
  const int lane = static_cast<int>(threadIdx.x);
  int* const out = p.out + 4 * lane;
  out[0] = __shfl_sync(kAllLanes, 3 * lane, 5);
  out[1] = __shfl_xor_sync(kAllLanes, lane, 3);
  // The halves of a warp on their own.
  out[2] = __shfl_xor_sync(lane < 16 ? 0xffffU : 0xffff0000U, lane, 8);
  out[3] = __dp4a(0x01ff7f80, 0x02020202, lane);
}

TEST(Emulation, ShufflesAndDotProducts) {
  std::vector<int> out(32 * 4);
  launch({1, 1, 1}, 32, 0, nullptr, shuffles, OutParams{out.data()});
  for (int lane = 0; lane < 32; ++lane) {
    const int* const got = out.data() + 4 * lane;
    EXPECT_EQ(got[0], 15);
    EXPECT_EQ(got[1], lane ^ 3);
    EXPECT_EQ(got[2], lane ^ 8);
    EXPECT_EQ(got[3], 2 * (1 - 1 + 127 - 128) + lane);
  }
  EXPECT_EQ(__byte_perm(0x33221100, 0x77665544, 0x7410), 0x77441100U);
}

// ---- planted faults ----------------------------------------------------------------------------

// Reverses the threads' numbers through shared memory, with or without the barrier it needs.
template <bool kBarrier>
__global__ void reverse(OutParams p) {
  SharedMemory shared;
  int* const values = shared.array<int>(blockDim.x);
  values[threadIdx.x] = static_cast<int>(threadIdx.x);
  if (kBarrier) __syncthreads();
  p.out[threadIdx.x] = values[blockDim.x - 1 - threadIdx.x];
}

int n_wrong(void (*kernel)(OutParams), uint64_t seed) {
  cuda_emulation::options().seed = seed;
  std::vector<int> out(128);
  launch({1, 1, 1}, 128, shared_bytes<int>(128), nullptr, kernel, OutParams{out.data()});
  int wrong = 0;
  for (int i = 0; i < 128; ++i) wrong += out[static_cast<size_t>(i)] != 127 - i ? 1 : 0;
  return wrong;
}

TEST(PlantedFaults, AMissingBarrierGivesWrongResults) {
  for (const uint64_t seed : {1, 2, 3}) {
    EXPECT_EQ(n_wrong(reverse<true>, seed), 0);
    EXPECT_GT(n_wrong(reverse<false>, seed), 0);
  }
}

// A buffer is filled again while slow threads may still read it.
template <bool kBarrier>
__global__ void refill(OutParams p) {
  SharedMemory shared;
  int* const value = shared.array<int>(1);
  int sum = 0;
  for (int round = 0; round < 4; ++round) {
    if (threadIdx.x == 0) *value = round;
    __syncthreads();
    sum = 10 * sum + *value;
    if (kBarrier) __syncthreads();
  }
  p.out[threadIdx.x] = sum;
}

TEST(PlantedFaults, ARefillWithoutABarrierGivesWrongResults) {
  const auto wrong = [](void (*kernel)(OutParams)) {
    int n = 0;
    for (uint64_t seed = 1; seed <= 10; ++seed) {
      cuda_emulation::options().seed = seed;
      std::vector<int> out(96);
      launch({1, 1, 1}, 96, shared_bytes<int>(1), nullptr, kernel, OutParams{out.data()});
      n += std::count(out.begin(), out.end(), 123) == 96 ? 0 : 1;
    }
    return n;
  };
  EXPECT_EQ(wrong(refill<true>), 0);
  EXPECT_GT(wrong(refill<false>), 0);
}

struct IndexParams {
  int index;
};
__global__ void writes_at(IndexParams p) {
  SharedMemory shared;
  auto* const values = shared.array<uint8_t>(32);
  if (threadIdx.x == 0) values[p.index] = 0;
}

TEST(PlantedFaults, AWriteBeyondASharedArray) {
  const size_t shared = shared_bytes<uint8_t>(32);
  EXPECT_EQ(refusal(2, 32, shared, writes_at, IndexParams{31}), "");
#ifndef __SANITIZE_ADDRESS__  // which ends the program at once
  EXPECT_THAT(refusal(2, 32, shared, writes_at, IndexParams{32}), HasSubstr("beyond the shared"));
#endif
  EXPECT_THAT(refusal(2, 32, 16, writes_at, IndexParams{0}), HasSubstr("does not fit"));
}

__global__ void barrier_for_some(IndexParams p) {
  if (static_cast<int>(threadIdx.x) < p.index) __syncthreads();
}
__global__ void two_barriers(IndexParams p) {
  if (static_cast<int>(threadIdx.x) < p.index) {
    __syncthreads();
  } else {
    __syncthreads();
  }
}
__global__ void shuffle_for_some(IndexParams p) {
  if (static_cast<int>(threadIdx.x) < p.index) __shfl_xor_sync(kAllLanes, 1, 1);
}
__global__ void shuffle_beyond_the_mask(IndexParams) {
  if (threadIdx.x < 16) __shfl_sync(0xffffU, 1, 20);
}

TEST(PlantedFaults, ThreadsThatDoNotMeet) {
  EXPECT_EQ(refusal(2, 64, 0, barrier_for_some, IndexParams{64}), "");
  EXPECT_THAT(refusal(2, 64, 0, barrier_for_some, IndexParams{40}), HasSubstr("deadlock"));
  EXPECT_THAT(refusal(2, 64, 0, two_barriers, IndexParams{32}), HasSubstr("different barriers"));
  EXPECT_EQ(refusal(2, 64, 0, shuffle_for_some, IndexParams{32}), "");
  EXPECT_NE(refusal(2, 64, 0, shuffle_for_some, IndexParams{16}), "");
  EXPECT_THAT(refusal(2, 32, 0, shuffle_beyond_the_mask, IndexParams{0}),
              HasSubstr("takes no part"));
  // After all this the emulation still works.
  EXPECT_EQ(refusal(2, 64, 0, barrier_for_some, IndexParams{64}), "");
}

struct AddressParams {
  const uint8_t* at;
};
__global__ void loads_word(AddressParams p) { (void)load_as<uint32_t>(p.at); }

TEST(PlantedFaults, AMisalignedLoad) {
  alignas(16) const uint8_t bytes[16] = {};
  EXPECT_EQ(refusal(2, 32, 0, loads_word, AddressParams{bytes + 4}), "");
  EXPECT_THAT(refusal(2, 32, 0, loads_word, AddressParams{bytes + 2}), HasSubstr("not aligned"));
}

// ---- memory and streams ------------------------------------------------------------------------

TEST(EmulatedRuntime, RunsWhenTheHostWaits) {
  cuda_emulation::options() = {.deferred = true};
  cudaStream_t stream = nullptr;
  cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
  std::vector<int> out(128, -1);
  launch({1, 1, 1}, 128, shared_bytes<int>(128), stream, reverse<true>, OutParams{out.data()});
  EXPECT_EQ(out[0], -1);
  cudaStreamSynchronize(stream);
  EXPECT_EQ(out[0], 127);
  cudaStreamDestroy(stream);
  cuda_emulation::options() = {};
}

TEST(EmulatedRuntime, MemoryOfTheDeviceIsClosedToTheHost) {
  cuda_emulation::options() = {.closed_memory = true, .device_bytes = 1 << 20};
  void* memory = nullptr;
  ASSERT_EQ(cudaMalloc(&memory, 64), cudaSuccess);
  EXPECT_EQ(cuda_emulation::allocated_bytes(), 64U);
  EXPECT_DEATH(*static_cast<volatile int*>(memory) = 1, "");
  int value = 7;
  cudaMemcpyAsync(memory, &value, sizeof(value), cudaMemcpyDefault, nullptr);
  value = 0;
  cudaMemcpyAsync(&value, memory, sizeof(value), cudaMemcpyDefault, nullptr);
  EXPECT_EQ(value, 7);
  void* more = nullptr;
  EXPECT_EQ(cudaMalloc(&more, 2 << 20), cudaErrorMemoryAllocation);
  EXPECT_EQ(cudaFree(memory), cudaSuccess);
  EXPECT_EQ(cuda_emulation::allocated_bytes(), 0U);
  cuda_emulation::options() = {};
}

}  // namespace
}  // namespace llmrun::kernels::cuda
