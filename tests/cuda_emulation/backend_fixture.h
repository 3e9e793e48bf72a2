// A CUDA backend for each test: of a card, or of the emulation, which then is as strict as it can
// be.
#pragma once

#include <gtest/gtest.h>

#include <memory>

#include "kernels/backend.h"
#ifdef LLMRUN_CUDA_EMULATION
#include "cuda_emulation/block.h"
#endif

namespace llmrun {

class CudaBackendTest : public ::testing::Test {
 protected:
  void SetUp() override {
#ifdef LLMRUN_CUDA_EMULATION
    cuda_emulation::options() = {.deferred = true, .closed_memory = true};
#endif
    auto backend = kernels::make_backend("cuda", {});
    if (!backend) GTEST_SKIP() << "skipped: " << backend.error().message;
    backend_ = std::move(*backend);
  }
  void TearDown() override {
    backend_.reset();
#ifdef LLMRUN_CUDA_EMULATION
    cuda_emulation::options() = {};
#endif
  }

  std::unique_ptr<kernels::Backend> backend_;
};

}  // namespace llmrun
