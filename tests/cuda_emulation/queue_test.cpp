// Steps of a device's queue: held back, sent as a graph when they repeat, and what makes that
// impossible. The emulation runs nothing before the host waits, as a device.
#include "kernels/cuda/queue.h"

#include <gtest/gtest.h>

#include <numeric>
#include <vector>

#include "cuda_emulation/runtime.h"
#include "kernels/cuda/device.cuh"

namespace llmrun::kernels::cuda {
namespace {

struct SumParams {
  const int* values;
  int n;
  int* out;
};
__global__ void sum_values(SumParams p) {
  if (threadIdx.x == 0) {
    for (int i = 0; i < p.n; ++i) *p.out += p.values[i];
  }
}

class CudaQueue : public ::testing::Test {
 protected:
  CudaQueue() {
    cuda_emulation::options() = {.deferred = true};
    cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking);
  }
  ~CudaQueue() override {
    cudaStreamDestroy(stream_);
    cuda_emulation::options() = {};
  }
  static size_t n_graphs() { return cuda_emulation::graph_counts().launches; }

  // A step that adds up `n` numbers from `first` on, twice.
  static int step(Queue& queue, int first, int n = 3) {
    std::vector<int> values(static_cast<size_t>(n));
    std::iota(values.begin(), values.end(), first);
    int& out = result();
    out = 0;
    queue.begin_step();
    for (int i = 0; i < 2; ++i) {
      const int* const sent = queue.put(values.data(), values.size());
      EXPECT_NE(sent, nullptr);
      EXPECT_EQ(launch({1, 1, 1}, 32, 0, queue, sum_values, SumParams{sent, n, &out}), cudaSuccess);
    }
    EXPECT_EQ(out, 0) << "nothing runs before the end of the step";
    EXPECT_EQ(queue.end_step(), cudaSuccess);
    return out;
  }
  static int expected(int first, int n = 3) { return 2 * (n * first + n * (n - 1) / 2); }

  cudaStream_t stream_ = nullptr;

 private:
  static int& result() {  // at one place, as results of a model are
    static int out;
    return out;
  }
};

TEST_F(CudaQueue, AStepThatRepeatsIsAGraphWithNewNumbers) {
  Queue queue(stream_);
  ASSERT_TRUE(queue.open());
  const size_t before = n_graphs();
  EXPECT_EQ(step(queue, 1), expected(1));
  EXPECT_EQ(n_graphs() - before, 0U);
  for (int first = 2; first < 9; ++first) EXPECT_EQ(step(queue, first), expected(first));
  EXPECT_EQ(n_graphs() - before, 7U);
}

TEST_F(CudaQueue, OtherStepsBetweenChangeNothing) {
  Queue queue(stream_);
  ASSERT_TRUE(queue.open());
  for (int round = 0; round < 4; ++round) {
    for (int n = 1; n <= 11; ++n) {
      EXPECT_EQ(step(queue, 10 * round, n), expected(10 * round, n)) << n;
    }
  }
}

// A pass that ends a step wherever devices meet: each is a graph from the second pass on.
TEST_F(CudaQueue, APassOfManyStepsIsAsManyGraphs) {
  Queue queue(stream_);
  ASSERT_TRUE(queue.open());
  constexpr int kSteps = 130;  // of 64 layers
  for (int round = 0; round < 4; ++round) {
    const size_t before = n_graphs();
    for (int n = 1; n <= kSteps; ++n) {
      EXPECT_EQ(step(queue, 10 * round, n), expected(10 * round, n)) << n;
    }
    EXPECT_EQ(n_graphs() - before, round == 0 ? 0U : kSteps) << round;
  }
}

// More than there is memory for: those that came first keep theirs, and nothing is recorded again.
TEST_F(CudaQueue, StepsThatTakeTurnsDoNotDriveOutEachOther) {
  Queue queue(stream_);
  ASSERT_TRUE(queue.open());
  const size_t before = n_graphs();
  constexpr int kRounds = 4;
  constexpr size_t kKept = kGraphsBytes / graph_bytes(2);
  static_assert(kKept + 3 <= kMostGraphs);
  for (int round = 0; round < kRounds; ++round) {
    for (int n = 1; n <= static_cast<int>(kKept) + 3; ++n) {
      EXPECT_EQ(step(queue, 10 * round, n), expected(10 * round, n)) << n;
    }
  }
  EXPECT_EQ(n_graphs() - before, (kRounds - 1) * kKept);
  // Steps of another kind get theirs when the old ones are not used any more.
  const size_t full = n_graphs();
  const int n_unused = static_cast<int>(4 * kKept);
  for (int i = 0; i < n_unused + 100; ++i) EXPECT_EQ(step(queue, i, 600), expected(i, 600));
  // (The first one was used a round before.)
  EXPECT_EQ(n_graphs() - full, 100 + kKept + 3);
}

TEST_F(CudaQueue, WithoutGraphsEverythingGoesOneByOne) {
  cuda_emulation::options().no_graphs = true;
  Queue queue(stream_);
  ASSERT_TRUE(queue.open());
  const size_t before = n_graphs();
  for (int first = 0; first < 4; ++first) EXPECT_EQ(step(queue, first), expected(first));
  EXPECT_EQ(n_graphs(), before);
}

TEST_F(CudaQueue, AStepLargerThanTheRingIsCutAndIsNoGraph) {
  Queue queue(stream_);
  ASSERT_TRUE(queue.open());
  const size_t before = n_graphs();
  constexpr int kMany = static_cast<int>(kUploadBytes / sizeof(int) * 2 / 3);
  std::vector<int> values(kMany, 1);
  for (int round = 0; round < 3; ++round) {
    int out = 0;
    queue.begin_step();
    for (int i = 0; i < 3; ++i) {
      values.back() = round + i;
      const int* const sent = queue.put(values.data(), values.size());
      ASSERT_EQ(launch({1, 1, 1}, 32, 0, queue, sum_values, SumParams{sent, kMany, &out}),
                cudaSuccess);
    }
    EXPECT_EQ(queue.end_step(), cudaSuccess);
    EXPECT_EQ(out, 3 * (kMany - 1) + 3 * round + 3);
  }
  EXPECT_EQ(n_graphs(), before);
  EXPECT_EQ(step(queue, 5), expected(5));  // and goes on
}

TEST_F(CudaQueue, AnArrayLargerThanTheRingIsAnErrorOfTheStep) {
  Queue queue(stream_);
  ASSERT_TRUE(queue.open());
  const std::vector<int> values(kUploadBytes / sizeof(int) + 1);
  queue.begin_step();
  EXPECT_EQ(queue.put(values.data(), values.size()), nullptr);
  EXPECT_EQ(queue.end_step(), cudaErrorInvalidValue);
  EXPECT_EQ(step(queue, 5), expected(5));
}

TEST_F(CudaQueue, WhatTouchesABufferComesAfterWhatWasHeldBack) {
  Queue queue(stream_);
  ASSERT_TRUE(queue.open());
  int out = 0;
  const std::vector<int> values = {1, 2, 3};
  DeviceMemory memory(&queue);
  ASSERT_TRUE(memory.allocate(sizeof(int), false));
  memory.clear(0, sizeof(int));
  queue.begin_step();
  const int* const sent = queue.put(values.data(), values.size());
  launch({1, 1, 1}, 32, 0, queue, sum_values,
         SumParams{sent, 3, reinterpret_cast<int*>(memory.data())});
  memory.clear(0, sizeof(int));
  launch({1, 1, 1}, 32, 0, queue, sum_values,
         SumParams{sent, 2, reinterpret_cast<int*>(memory.data())});
  EXPECT_EQ(queue.end_step(), cudaSuccess);
  cudaMemcpyAsync(&out, memory.data(), sizeof(int), cudaMemcpyDefault, nullptr);
  EXPECT_EQ(out, 3);
}

}  // namespace
}  // namespace llmrun::kernels::cuda
