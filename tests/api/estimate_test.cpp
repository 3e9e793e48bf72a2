// The memory estimate against what a process really takes: a child process loads a model, fills
// its context, and tells its memory before and after.
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "api_fixture.h"

namespace llmrun {
namespace {

// Resident bytes of this process: anonymous memory and pages of files.
uint64_t resident_bytes() {
  std::ifstream file("/proc/self/status");
  std::string word;
  uint64_t total = 0;
  while (file >> word) {
    uint64_t kilobytes = 0;
    if ((word == "RssAnon:" || word == "RssFile:") && file >> kilobytes) total += kilobytes * 1024;
  }
  return total;
}

struct Measured {
  uint64_t growth = 0;
  uint64_t planned = 0;
  uint64_t ok = 0;
};

// Runs the model until its context is full, so that every page it planned has been touched.
Measured use_model(const std::filesystem::path& path, int64_t context_tokens) {
  Measured measured;
  const uint64_t before = resident_bytes();
  const auto model = Model::open(path);
  if (!model) return measured;
  ContextOptions options;
  options.context_tokens = context_tokens;
  options.logits_rows = 64;
  auto session = model->new_session(options);
  if (!session) return measured;
  const auto n_vocab = static_cast<uint64_t>(model->info().vocabulary_size);
  std::vector<TokenId> prompt;
  for (int64_t i = 0; i + 8 < context_tokens; ++i) {
    prompt.push_back(static_cast<TokenId>(static_cast<uint64_t>(i * 977 + 5) % n_vocab));
  }
  GenerateOptions generate;
  generate.ignore_end = true;
  if (!session->complete(prompt, generate)) return measured;
  session->clear();
  const auto ignore = [](int64_t, int64_t, std::span<const float>) { return Result<void>(); };
  if (!session->logits(std::span(prompt).first(64), ignore)) return measured;
  measured.growth = resident_bytes() - before;
  measured.planned = session->memory().total_bytes;
  measured.ok = 1;
  return measured;
}

Measured measure(const std::filesystem::path& path, int64_t context_tokens, bool warm_up) {
  int pipe_ends[2];
  Measured measured;
  if (pipe(pipe_ends) != 0) return measured;
  const pid_t child = fork();
  if (child == 0) {
    // What the library itself takes once, however large the model: its code's pages, its tables.
    if (warm_up) (void)use_model(tiny_chat_path(), 1024);
    const Measured result = use_model(path, context_tokens);
    const bool written = write(pipe_ends[1], &result, sizeof(result)) == sizeof(result);
    _exit(written ? 0 : 1);
  }
  close(pipe_ends[1]);
  if (read(pipe_ends[0], &measured, sizeof(measured)) != sizeof(measured)) measured.ok = 0;
  close(pipe_ends[0]);
  waitpid(child, nullptr, 0);
  return measured;
}

void expect_within(const std::filesystem::path& path, int64_t context_tokens) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "skipped: a sanitizer's own memory is no part of the plan";
#endif
  const Measured measured = measure(path, context_tokens, true);
  ASSERT_EQ(measured.ok, 1U);
  const auto growth = static_cast<double>(measured.growth);
  const auto planned = static_cast<double>(measured.planned);
  std::printf("planned %.1f MB, measured %.1f MB: %+.2f %%\n", planned * 1e-6, growth * 1e-6,
              100 * (growth - planned) / planned);
  EXPECT_NEAR(growth / planned, 1.0, 0.03);
  // `llmrun estimate` says the same as the session.
  ContextOptions options;
  options.context_tokens = context_tokens;
  options.logits_rows = 64;
  EXPECT_NEAR(static_cast<double>(must(estimate_memory(path, options)).total_bytes), planned,
              0.005 * planned);
}

TEST(EstimateAgainstMeasurement, SmolLm2) {
  LLMRUN_REAL_MODEL(path, "SmolLM2-135M-Instruct.Q4_1.gguf");
  expect_within(path, 1024);
}

TEST(EstimateAgainstMeasurement, Gemma3) {
  LLMRUN_REAL_MODEL(path, "gemma-3-270m-q4_k_m.gguf");
  expect_within(path, 512);
}

// Always: a tiny model, whose plan is small beside the code and the heap's slack that any process
// takes once.
TEST(EstimateAgainstMeasurement, TinyModel) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "skipped: a sanitizer's own memory is no part of the plan";
#endif
  const Measured measured = measure(tiny_chat_path(), 4096, false);
  ASSERT_EQ(measured.ok, 1U);
  constexpr uint64_t kSlack = uint64_t{4} << 20;
  EXPECT_GT(measured.growth, measured.planned * 9 / 10);
  EXPECT_LT(measured.growth, measured.planned + kSlack);
}

}  // namespace
}  // namespace llmrun
