// Weights on their way to the device in pieces: all of it arrives, in whatever sizes it comes, and
// what the host does with its copy afterwards changes nothing.
#include "kernels/cuda/weight_upload.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "cuda_emulation/block.h"

namespace llmrun::kernels::cuda {
namespace {

TEST(WeightUpload, AllBytesArriveInTheirPlaces) {
  cuda_emulation::options() = {.deferred = true};
  cudaStream_t stream = nullptr;
  ASSERT_EQ(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess);
  {
    DeviceMemory memory;
    ASSERT_TRUE(memory.allocate(1 << 20, false));
    WeightUpload upload(stream, 1000);  // pieces far smaller than weights, and larger than some
    std::vector<std::byte> all;
    for (const size_t bytes : {1, 999, 1000, 1001, 0, 12345, 7, 2000}) {
      std::vector<std::byte> weight(bytes);
      for (size_t i = 0; i < bytes; ++i) weight[i] = static_cast<std::byte>(31 * i + bytes);
      ASSERT_EQ(upload.send(memory.data() + all.size(), weight.data(), bytes), cudaSuccess);
      all.insert(all.end(), weight.begin(), weight.end());
      std::fill(weight.begin(), weight.end(), std::byte{0xee});
      if (bytes == 1001) upload.close();  // and it opens again
    }
    upload.close();
    std::vector<std::byte> got(all.size());
    cudaMemcpyAsync(got.data(), memory.data(), got.size(), cudaMemcpyDefault, nullptr);
    EXPECT_EQ(got, all);
  }
  EXPECT_EQ(cuda_emulation::allocated_bytes(), 0U);
  cudaStreamDestroy(stream);
  cuda_emulation::options() = {};
}

}  // namespace
}  // namespace llmrun::kernels::cuda
