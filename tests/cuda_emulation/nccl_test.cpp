// Devices that share every layer and exchange their parts through NCCL, of which a library with the
// same binary interface stands here: the bits are those of an exchange through main memory; what
// fails is told, and nobody waits for ever.
#include <dlfcn.h>
#include <gmock/gmock.h>

#include <chrono>
#include <cstdlib>
#include <thread>

#include "base/error.h"
#include "cuda_emulation/block.h"
#include "cuda_emulation/devices.h"
#include "cuda_emulation/fake_nccl.h"
#include "cuda_emulation/runtime.h"
#include "kernels/cuda/ops.h"
#include "kernels/gatherer.h"
#include "models/tiny.h"
#include "paths.h"

namespace llmrun {
namespace {

using ::testing::HasSubstr;
using testing::kIds;

constexpr const char* kVariable = "LLMRUN_NCCL";

using Backends = std::vector<std::unique_ptr<kernels::Backend>>;

std::vector<kernels::Backend*> pointers(const Backends& backends) {
  std::vector<kernels::Backend*> all;
  for (const auto& backend : backends) all.push_back(backend.get());
  return all;
}

class NcclExchange : public ::testing::Test {
 protected:
  NcclExchange() {
    cuda_emulation::options() = {.deferred = true, .closed_memory = true};
    cuda_emulation::device_count() = 4;
    use(LLMRUN_FAKE_NCCL);
    void* const library = dlopen(LLMRUN_FAKE_NCCL, RTLD_NOW | RTLD_LOCAL);
    EXPECT_NE(library, nullptr) << dlerror();
    const auto find = reinterpret_cast<FakeNccl* (*)()>(dlsym(library, "fake_nccl"));
    nccl_ = find();
    *nccl_ = {};
  }
  // However it went, all is given back.
  ~NcclExchange() override {
    EXPECT_EQ(nccl_->n_open, 0);
    EXPECT_EQ(cuda_emulation::allocated_bytes(), 0U);
    EXPECT_EQ(cuda_emulation::pinned_bytes(), 0U);
    EXPECT_EQ(cuda_emulation::live_handles(), 0U);
    unsetenv(kVariable);  // NOLINT(concurrency-mt-unsafe)
    cuda_emulation::options() = {};
    cuda_emulation::device_count() = 1;
  }

  static void use(const char* library) {
    setenv(kVariable, library, 1);  // NOLINT(concurrency-mt-unsafe)
  }
  static Backends devices(size_t n) {
    Backends backends;
    for (size_t i = 0; i < n; ++i) {
      auto backend = kernels::make_backend(fmt::format("cuda:{}", i), {});
      EXPECT_TRUE(backend) << backend.error().message;
      backends.push_back(std::move(*backend));
    }
    return backends;
  }
  static std::string why_not(size_t n = 2) {
    const Backends backends = devices(n);
    const auto gatherer = kernels::make_gpu_gatherer(pointers(backends));
    EXPECT_FALSE(gatherer);
    return gatherer ? std::string() : gatherer.error().message;
  }

  FakeNccl* nccl_ = nullptr;
};

struct Loaded {
  std::unique_ptr<gguf::File> file;
  std::unique_ptr<runtime::Model> model;
};
Result<Loaded> load(const std::string& name, const Backends& backends,
                    kernels::Gatherer* gatherer) {
  Loaded loaded;
  LLMRUN_ASSIGN(gguf::File file, gguf::File::open(std::string(tests::kSourceDir) +
                                                  "/tests/data/archs/" + name + ".gguf"));
  loaded.file = std::make_unique<gguf::File>(std::move(file));
  LLMRUN_ASSIGN(runtime::ModelSpec spec, models::build_spec(*loaded.file));
  runtime::Placement placement;
  placement.devices = pointers(backends);
  placement.tensors = true;
  placement.gatherer = gatherer;
  LLMRUN_ASSIGN(loaded.model,
                runtime::Model::load(*loaded.file, std::move(placement), std::move(spec)));
  return loaded;
}

Result<std::vector<float>> logits_of(const Loaded& loaded, size_t chunk, size_t n_tokens) {
  LLMRUN_ASSIGN(const auto context, loaded.model->new_context(testing::float_cache()));
  const std::vector<TokenId> ids(kIds.begin(), kIds.begin() + static_cast<ptrdiff_t>(n_tokens));
  return testing::run_chunked(*context, ids, chunk);
}

TEST_F(NcclExchange, GivesTheBitsOfMainMemory) {
  for (const char* name : {"llama-dense", "altered-gemma3-window", "altered-qwen3moe-experts"}) {
    SCOPED_TRACE(name);
    const Backends backends = devices(2);
    const auto gatherer = kernels::make_gpu_gatherer(pointers(backends));
    ASSERT_TRUE(gatherer) << gatherer.error().message;
    EXPECT_EQ((*gatherer)->name(), "NCCL 2.27.7");
    // On backends of its own: a card's backend holds the weights of one model.
    const Backends apart = devices(2);
    const auto by_host = load(name, apart, nullptr);
    const auto by_nccl = load(name, backends, gatherer->get());
    ASSERT_TRUE(by_host && by_nccl);
    for (const size_t chunk : {size_t{1}, size_t{5}, kIds.size()}) {
      SCOPED_TRACE(chunk);
      const size_t n_tokens = chunk == 1 ? 5 : kIds.size();
      const auto expected = logits_of(*by_host, chunk, n_tokens);
      ASSERT_TRUE(expected) << expected.error().message;
      const size_t before = nccl_->n_exchanges;
      const size_t graphs = cuda_emulation::graph_counts().launches;
      const auto logits = logits_of(*by_nccl, chunk, n_tokens);
      ASSERT_TRUE(logits) << logits.error().message;
      EXPECT_TRUE(testing::same_bits(*logits, *expected));
      EXPECT_GT(nccl_->n_exchanges, before);
      // A step of one token is one graph of each device, exchanges and all, from the second on.
      if (chunk == 1) {
        EXPECT_EQ(cuda_emulation::graph_counts().launches - graphs, 2 * 4U);
      }
    }
    // What needs no meeting place in main memory plans none.
    const auto plan = by_nccl->model->plan(testing::float_cache());
    ASSERT_TRUE(plan);
    EXPECT_EQ(testing::bytes_of(*plan, "meeting place"), 0U);
  }
}

TEST_F(NcclExchange, SaysWhyItCannotBe) {
  use("off");
  EXPECT_THAT(why_not(), HasSubstr("switched off"));
  use("/nowhere/libnccl.so.2");
  EXPECT_THAT(why_not(), HasSubstr("/nowhere/libnccl.so.2 cannot be loaded"));
  use(LLMRUN_FAKE_NCCL_INCOMPLETE);
  EXPECT_THAT(why_not(), HasSubstr("lacks functions of NCCL 2"));
  use(LLMRUN_FAKE_NCCL_OLD);
  EXPECT_THAT(why_not(), HasSubstr("fake_nccl_old.so is NCCL of a version before 2.9.0"));
  use(LLMRUN_FAKE_NCCL);
  nccl_->init_result = 2;
  EXPECT_THAT(why_not(), HasSubstr("connecting the GPUs failed in NCCL 2.27.7"));
  nccl_->init_result = 0;
  for (const int rank : {0, 1}) {
    nccl_->failing_rank = rank;
    EXPECT_THAT(why_not(), HasSubstr("a first exchange failed in NCCL 2.27.7: internal error"));
  }
  nccl_->failing_rank = -1;
  nccl_->wrong_values = true;
  EXPECT_THAT(why_not(), HasSubstr("gave wrong values"));
  Backends cpu;
  cpu.push_back(testing::cpu_backend(1));
  const auto gatherer = kernels::make_gpu_gatherer(pointers(cpu));
  ASSERT_FALSE(gatherer);
  EXPECT_THAT(gatherer.error().message, HasSubstr("GPUs only"));
}

// Whichever device cannot exchange, and wherever: the pass is an error for all of them.
TEST_F(NcclExchange, AFailureEndsThePassAndTheExchange) {
  for (const int rank : {0, 1}) {
    for (const size_t call : {1, 4}) {  // the first of a rank is tried out
      SCOPED_TRACE(fmt::format("rank {}, call {}", rank, call));
      const Backends backends = devices(2);
      *nccl_ = {};
      nccl_->failing_rank = rank;
      nccl_->failing_call = call;
      const auto gatherer = kernels::make_gpu_gatherer(pointers(backends));
      ASSERT_TRUE(gatherer) << gatherer.error().message;
      const auto loaded = load("llama-dense", backends, gatherer->get());
      ASSERT_TRUE(loaded) << loaded.error().message;
      const auto first = logits_of(*loaded, kIds.size(), kIds.size());
      ASSERT_FALSE(first);
      EXPECT_EQ(first.error().code, ErrorCode::kInternal);
      EXPECT_THAT(first.error().message,
                  ::testing::AnyOf(HasSubstr("an exchange between GPUs failed"),
                                   HasSubstr("another GPU failed in the middle of a pass")));
      const auto second = logits_of(*loaded, kIds.size(), kIds.size());
      ASSERT_FALSE(second);
      EXPECT_THAT(second.error().message, HasSubstr("load the model again"));
      EXPECT_GE(nccl_->n_aborted, 1U);
    }
  }
}

TEST_F(NcclExchange, WhatNcclFindsWrongLaterEndsThePassToo) {
  const Backends backends = devices(2);
  const auto gatherer = kernels::make_gpu_gatherer(pointers(backends));
  ASSERT_TRUE(gatherer) << gatherer.error().message;
  const auto loaded = load("llama-dense", backends, gatherer->get());
  ASSERT_TRUE(loaded) << loaded.error().message;
  nccl_->async_error = true;
  // Told to whoever has to wait; with luck nobody has.
  for (int i = 0; i < 50; ++i) {
    const auto logits = logits_of(*loaded, kIds.size(), kIds.size());
    if (logits) continue;
    EXPECT_THAT(logits.error().message, HasSubstr("remote error"));
    return;
  }
  FAIL() << "no pass failed";
}

// A device that fails and never comes to the exchange: the others give up after a while. One that
// fails and comes is an error of that pass only.
class FailingRank : public NcclExchange {
 protected:
  struct Outcome {
    Result<void> first, second;
  };
  static Outcome pass(kernels::Gatherer& gatherer, const Backends& backends,
                      std::vector<std::unique_ptr<kernels::Buffer>>& buffers, bool fails,
                      bool comes) {
    Outcome outcome;
    const auto part = [&](size_t rank) {
      backends[rank]->begin_step();
      if (rank == 1 && fails) {
        static_cast<kernels::cuda::CudaOps&>(backends[rank]->ops())
            .check(cudaErrorLaunchFailure, "a test");
      }
      auto* const rows = reinterpret_cast<float*>(buffers[rank]->data());
      if (rank == 0 || comes) gatherer.gather(rank, {rows, 2, 16, 16});
      (rank == 0 ? outcome.first : outcome.second) = gatherer.finish(rank);
    };
    std::thread other(part, 1);
    part(0);
    other.join();
    return outcome;
  }
};

TEST_F(FailingRank, IsWaitedForOnlySoLong) {
  const Backends backends = devices(2);
  std::vector<std::unique_ptr<kernels::Buffer>> buffers;
  for (const auto& backend : backends) {
    auto buffer = backend->allocate(2 * 16 * sizeof(float));
    ASSERT_TRUE(buffer) << buffer.error().message;
    buffers.push_back(std::move(*buffer));
  }
  const auto gatherer = kernels::make_gpu_gatherer(pointers(backends));
  ASSERT_TRUE(gatherer) << gatherer.error().message;
  for (const bool fails : {false, true, false}) {
    const Outcome outcome = pass(**gatherer, backends, buffers, fails, true);
    EXPECT_TRUE(outcome.first) << outcome.first.error().message;
    EXPECT_EQ(outcome.second.has_value(), !fails);
  }
  // Long after a failure of an earlier pass.
  std::this_thread::sleep_for(std::chrono::milliseconds(2100));
  const Outcome good = pass(**gatherer, backends, buffers, false, true);
  EXPECT_TRUE(good.first && good.second);
  EXPECT_EQ(nccl_->n_aborted, 0U);
  const Outcome alone = pass(**gatherer, backends, buffers, true, false);
  ASSERT_FALSE(alone.first);
  EXPECT_THAT(alone.first.error().message, HasSubstr("another GPU failed"));
  EXPECT_FALSE(alone.second);
  EXPECT_GE(nccl_->n_aborted, 1U);
}

}  // namespace
}  // namespace llmrun
