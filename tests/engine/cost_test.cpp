// What the engine itself costs: little beside a step, and nothing between two.
#include <gtest/gtest.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "engine/engine.h"
#include "engine/fake_context.h"
#include "gguf/reader.h"
#include "kernels/backend.h"
#include "models/registry.h"
#include "paths.h"

namespace llmrun::engine {
namespace {

double seconds_of(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

Request request(std::vector<TokenId> prompt, int64_t max_tokens) {
  Request request;
  request.prompt = std::move(prompt);
  request.options.sampling.temperature = 0;
  request.options.max_tokens = max_tokens;
  return request;
}

// A step of 64 sequences of the smallest models takes 50 ms on two cores; 2 % of that is 1 ms.
TEST(Cost, SchedulingSixtyFourSequencesIsCheap) {
  constexpr TokenId kVocab = 16;
  FakeContext context({.context_tokens = 4096, .max_sequences = 64, .batch_tokens = 512}, kVocab,
                      [](const std::vector<TokenId>&) { return 3; });
  Scheduler scheduler(context, kVocab);
  std::vector<std::unique_ptr<Sequence>> sequences;
  for (TokenId i = 0; i < 64; ++i) {
    std::vector<TokenId> prompt(600, 1);  // a common beginning
    prompt.push_back(i % kVocab);
    prompt.push_back(i / kVocab);
    auto made = Sequence::create(request(prompt, 64), {nullptr, kVocab}, 4096);
    ASSERT_TRUE(made) << made.error().message;
    sequences.push_back(std::move(*made));
    scheduler.add(*sequences.back());
  }
  double seconds = 0;
  int n_steps = 0;
  while (true) {
    double start = seconds_of(CLOCK_THREAD_CPUTIME_ID);
    const auto batch = scheduler.next();
    seconds += seconds_of(CLOCK_THREAD_CPUTIME_ID) - start;
    ASSERT_TRUE(batch) << batch.error().message;
    if ((*batch)->chunks.empty()) break;
    const auto logits = context.forward(**batch);
    ASSERT_TRUE(logits) << logits.error().message;
    start = seconds_of(CLOCK_THREAD_CPUTIME_ID);
    scheduler.accept(*logits);
    seconds += seconds_of(CLOCK_THREAD_CPUTIME_ID) - start;
    ++n_steps;
  }
  const double each = seconds / n_steps;
  RecordProperty("microseconds_per_step", std::to_string(1e6 * each));
  std::printf("%d steps, %.0f us each\n", n_steps, 1e6 * each);
  EXPECT_LT(each, 1e-3);
}

struct Loaded {
  explicit Loaded(const std::string& path)
      : file(std::move(*gguf::File::open(path))),
        backend(std::move(*kernels::make_backend("cpu", {2, {}}))),
        model(std::move(*runtime::Model::load(file, *backend, *models::build_spec(file)))) {}
  gguf::File file;
  std::unique_ptr<kernels::Backend> backend;
  std::unique_ptr<runtime::Model> model;
};

struct Sampling {
  const char* name;
  SamplingOptions options;
};

// What is spent beside forward(): choosing the batch, and drawing 64 tokens from 49,152 each.
class StepCost : public testing::TestWithParam<Sampling> {};

TEST_P(StepCost, OfSixtyFourRowsIsNearlyAllTheModel) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "skipped: ThreadSanitizer slows down the engine more than the kernels";
#endif
  const char* const folder = std::getenv("LLMRUN_TEST_MODELS");
  const auto path =
      std::filesystem::path(folder == nullptr ? "" : folder) / "SmolLM2-135M-Instruct.Q4_1.gguf";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "skipped: set LLMRUN_TEST_MODELS";
  const Loaded loaded(path.string());
  const int64_t n_vocab = loaded.model->spec().n_vocab;
  const auto context =
      std::move(*loaded.model->new_context({.context_tokens = 128, .max_sequences = 64}));
  Scheduler scheduler(*context, n_vocab);
  std::vector<std::unique_ptr<Sequence>> sequences;
  for (TokenId i = 0; i < 64; ++i) {
    Request wanted = request({i + 100, 2 * i, 77}, 24);
    wanted.options.sampling = GetParam().options;
    wanted.options.sampling.seed = 1;
    sequences.push_back(std::move(*Sequence::create(wanted, {nullptr, n_vocab}, 128)));
    scheduler.add(*sequences.back());
  }
  std::vector<double> shares;  // of each step, the first one, which reads the prompts, aside
  for (bool is_first = true;; is_first = false) {
    const double start = seconds_of(CLOCK_MONOTONIC);
    const auto batch = scheduler.next();
    const double chosen = seconds_of(CLOCK_MONOTONIC);
    ASSERT_TRUE(batch) << batch.error().message;
    if ((*batch)->chunks.empty()) break;
    const auto logits = context->forward(**batch);
    const double computed = seconds_of(CLOCK_MONOTONIC);
    ASSERT_TRUE(logits) << logits.error().message;
    scheduler.accept(*logits);
    const double end = seconds_of(CLOCK_MONOTONIC);
    if (!is_first) shares.push_back((chosen - start + end - computed) / (end - start));
  }
  ASSERT_EQ(shares.size(), 23U);
  std::sort(shares.begin(), shares.end());  // a step in which others had the cores tells nothing
  const double share = shares[shares.size() / 2];
  std::printf("%s: %.2f %% of a step\n", GetParam().name, 100 * share);
  // On a quiet machine under 2 %; other tests run beside this one.
  EXPECT_LT(share, 0.04);
}

SamplingOptions options(float temperature, float repeat_penalty = 1.0F, float min_p = 0.0F) {
  SamplingOptions options;
  options.temperature = temperature;
  options.repeat_penalty = repeat_penalty;
  options.min_p = min_p;
  return options;
}

INSTANTIATE_TEST_SUITE_P(Kinds, StepCost,
                         testing::Values(Sampling{"Greedy", options(0)},
                                         Sampling{"Usual", options(0.8F)},
                                         Sampling{"Penalties", options(0.8F, 1.1F, 0.05F)}),
                         [](const auto& test) { return test.param.name; });

TEST(Cost, AnIdleEngineUsesNoCpu) {
  const Loaded loaded(std::string(tests::kSourceDir) + "/tests/data/archs/llama-dense.gguf");
  const auto context = std::move(*loaded.model->new_context({.context_tokens = 128}));
  Engine engine(*context, {nullptr, loaded.model->spec().n_vocab});
  const std::atomic<bool> never{false};
  ASSERT_TRUE(engine.run(request({1, 2, 3}, 20), never));
  std::this_thread::sleep_for(std::chrono::milliseconds(50));  // threads may wait a little
  const double before = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
  std::this_thread::sleep_for(std::chrono::seconds(1));
  EXPECT_LT(seconds_of(CLOCK_PROCESS_CPUTIME_ID) - before, 0.01);  // 1 % of one core
}

}  // namespace
}  // namespace llmrun::engine
