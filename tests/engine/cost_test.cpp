// What the engine itself costs: little beside a step, and nothing between two.
#include <gtest/gtest.h>
#include <time.h>

#include <chrono>
#include <thread>

#include "engine/engine.h"
#include "engine/fake_context.h"
#include "gguf/reader.h"
#include "kernels/backend.h"
#include "models/registry.h"
#include "paths.h"

namespace llmrun::engine {
namespace {

double cpu_seconds(clockid_t clock) {
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
  Scheduler scheduler(context);
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
    double start = cpu_seconds(CLOCK_THREAD_CPUTIME_ID);
    const auto batch = scheduler.next();
    seconds += cpu_seconds(CLOCK_THREAD_CPUTIME_ID) - start;
    ASSERT_TRUE(batch) << batch.error().message;
    if ((*batch)->chunks.empty()) break;
    const auto logits = context.forward(**batch);
    ASSERT_TRUE(logits) << logits.error().message;
    start = cpu_seconds(CLOCK_THREAD_CPUTIME_ID);
    scheduler.accept(*logits);
    seconds += cpu_seconds(CLOCK_THREAD_CPUTIME_ID) - start;
    ++n_steps;
  }
  const double each = seconds / n_steps;
  RecordProperty("microseconds_per_step", std::to_string(1e6 * each));
  std::printf("%d steps, %.0f us each\n", n_steps, 1e6 * each);
  EXPECT_LT(each, 1e-3);
}

TEST(Cost, AnIdleEngineUsesNoCpu) {
  const std::string path = std::string(tests::kSourceDir) + "/tests/data/archs/llama-dense.gguf";
  const auto file = gguf::File::open(path);
  ASSERT_TRUE(file);
  const auto backend = std::move(*kernels::make_backend("cpu", {2, {}}));
  const auto model = std::move(*runtime::Model::load(*file, *backend, *models::build_spec(*file)));
  const auto context = std::move(*model->new_context({.context_tokens = 128}));
  Engine engine(*context, {nullptr, model->spec().n_vocab});
  const std::atomic<bool> never{false};
  ASSERT_TRUE(engine.run(request({1, 2, 3}, 20), never));
  std::this_thread::sleep_for(std::chrono::milliseconds(50));  // threads may wait a little
  const double before = cpu_seconds(CLOCK_PROCESS_CPUTIME_ID);
  std::this_thread::sleep_for(std::chrono::milliseconds(400));
  EXPECT_LT(cpu_seconds(CLOCK_PROCESS_CPUTIME_ID) - before, 0.004);
}

}  // namespace
}  // namespace llmrun::engine
