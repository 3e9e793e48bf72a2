// Two emulated GPUs, of which a test may keep nothing. A model opened through the public API may
// take nothing of them while it answers.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <vector>

#include "cuda_emulation/block.h"
#include "cuda_emulation/devices.h"
#include "llmrun/model.h"

namespace llmrun {

class TwoGpus : public ::testing::Test {
 protected:
  TwoGpus() {
    cuda_emulation::options() = {.deferred = true, .closed_memory = true};
    cuda_emulation::device_count() = 2;
    use_nccl("off");
  }
  ~TwoGpus() override {
    for (int device = 0; device < 2; ++device) {
      EXPECT_EQ(cuda_emulation::allocated_bytes(device), 0U) << "of device " << device;
    }
    cuda_emulation::options() = {};
    cuda_emulation::device_count() = 1;
  }
  static void use_nccl(const char* library) {
    setenv("LLMRUN_NCCL", library, 1);  // NOLINT(concurrency-mt-unsafe)
  }
  static ContextOptions context() {
    ContextOptions options;
    options.context_tokens = 64;
    options.batch_tokens = 16;
    return options;
  }
  // The first tokens that the model thinks best after a text.
  static std::vector<TokenId> answer(const Model& model) {
    auto session = model.new_session(context());
    EXPECT_TRUE(session) << session.error().message;
    if (!session) return {};
    const size_t ready[] = {cuda_emulation::allocated_bytes(0), cuda_emulation::allocated_bytes(1)};
    GenerateOptions options;
    options.max_tokens = kAnswerTokens;
    options.sampling.temperature = 0;
    const std::vector<TokenId> prompt = {3, 17, 64, 5, 99};
    const auto generation = session->complete(prompt, options);
    EXPECT_TRUE(generation) << generation.error().message;
    for (int device = 0; device < 2; ++device) {
      EXPECT_EQ(cuda_emulation::allocated_bytes(device), ready[device]) << "of device " << device;
    }
    return generation ? generation->tokens : std::vector<TokenId>();
  }
  static constexpr int64_t kAnswerTokens = 8;
};

}  // namespace llmrun
