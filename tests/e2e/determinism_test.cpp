// Same model, prompt, seed and CPU target: the same logits and tokens, bit for bit, whatever the
// number of threads and however the prompt is cut into batches.
#include <gtest/gtest.h>

#include <cstring>
#include <initializer_list>

#include "api/api_fixture.h"

namespace llmrun {
namespace {

struct Outcome {
  std::vector<float> logits;
  std::vector<TokenId> greedy;
  std::vector<TokenId> drawn;
};

std::vector<TokenId> prompt_for(const Model& model, int64_t n) {
  std::vector<TokenId> tokens;
  const auto n_vocab = static_cast<uint64_t>(model.info().vocabulary_size);
  uint64_t state = 12345;
  for (int64_t i = 0; i < n; ++i) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    tokens.push_back(static_cast<TokenId>((state >> 33) % n_vocab));
  }
  return tokens;
}

Outcome run(const std::filesystem::path& path, int threads, int64_t batch_tokens, int64_t n_prompt,
            int64_t n_decode) {
  LoadOptions load;
  load.threads = threads;
  const Model model = must(Model::open(path, load));
  ContextOptions options;
  options.context_tokens = n_prompt + n_decode;
  options.batch_tokens = batch_tokens;
  options.logits_rows = batch_tokens;
  Session session = must(model.new_session(options));
  const auto prompt = prompt_for(model, n_prompt);
  Outcome result;
  must(session.logits(prompt, [&](int64_t, int64_t, std::span<const float> rows) -> Result<void> {
    result.logits.insert(result.logits.end(), rows.begin(), rows.end());
    return {};
  }));
  GenerateOptions generate;
  generate.ignore_end = true;
  generate.max_tokens = n_decode;
  generate.sampling.temperature = 0;
  result.greedy = must(session.complete(prompt, generate)).tokens;
  generate.sampling.temperature = 1;
  generate.sampling.seed = 3;
  session.clear();
  result.drawn = must(session.complete(prompt, generate)).tokens;
  return result;
}

void expect_same(const std::filesystem::path& path, int64_t n_prompt, int64_t n_decode,
                 std::initializer_list<int> thread_counts,
                 std::initializer_list<int64_t> batch_sizes) {
  const Outcome wanted = run(path, 1, 512, n_prompt, n_decode);
  ASSERT_FALSE(wanted.logits.empty());
  for (const int threads : thread_counts) {
    for (const int64_t batch_tokens : batch_sizes) {
      const Outcome got = run(path, threads, batch_tokens, n_prompt, n_decode);
      const std::string which = path.filename().string() + ", " + std::to_string(threads) +
                                " threads, batches of " + std::to_string(batch_tokens);
      ASSERT_EQ(got.logits.size(), wanted.logits.size()) << which;
      EXPECT_EQ(std::memcmp(got.logits.data(), wanted.logits.data(),
                            wanted.logits.size() * sizeof(float)),
                0)
          << which;
      EXPECT_EQ(got.greedy, wanted.greedy) << which;
      EXPECT_EQ(got.drawn, wanted.drawn) << which;
    }
  }
}

// Models that see their whole text at once do not write token by token, and say so.
bool writes(const std::filesystem::path& path) {
  const Model model = must(Model::open(path));
  Session session = must(model.new_session());
  GenerateOptions one_token;
  one_token.max_tokens = 1;
  const auto answer = session.complete(prompt_for(model, 1), one_token);
  if (answer) return true;
  EXPECT_EQ(answer.error().code, ErrorCode::kUnsupported) << path;
  return false;
}

TEST(Determinism, TinyModels) {
  int n_models = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(tiny_path("llama-dense").parent_path())) {
    if (entry.path().extension() != ".gguf" || !writes(entry.path())) continue;
    expect_same(entry.path(), 90, 10, {2}, {7, 512});
    ++n_models;
  }
  EXPECT_GT(n_models, 50);
}

TEST(Determinism, RealModels) {
  LLMRUN_REAL_MODEL(smol, "SmolLM2-135M-Instruct.Q4_1.gguf");
  expect_same(smol, 80, 8, {1, 2}, {1, 7, 64, 512});
}

TEST(Determinism, RealModelWithKQuants) {
  LLMRUN_REAL_MODEL(gemma, "gemma-3-270m-q4_k_m.gguf");
  expect_same(gemma, 40, 4, {1, 2}, {1, 7, 64, 512});
}

}  // namespace
}  // namespace llmrun
