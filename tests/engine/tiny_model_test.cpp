// The engine on real (tiny) models: the same answer whatever the cache held, however the prompt was
// cut and whoever else was in the batch.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "engine/engine.h"
#include "gguf/reader.h"
#include "kernels/backend.h"
#include "models/registry.h"
#include "paths.h"
#include "runtime/model.h"

namespace llmrun::engine {
namespace {

const std::atomic<bool> kNever{false};

struct Loaded {
  std::unique_ptr<gguf::File> file;
  std::unique_ptr<kernels::Backend> backend;
  std::unique_ptr<runtime::Model> model;
};

class TinyModel : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    const std::string path =
        std::string(tests::kSourceDir) + "/tests/data/archs/" + GetParam() + ".gguf";
    auto file = gguf::File::open(path);
    ASSERT_TRUE(file) << file.error().message;
    loaded_.file = std::make_unique<gguf::File>(std::move(*file));
    auto backend = kernels::make_backend("cpu", {2, {}});
    ASSERT_TRUE(backend) << backend.error().message;
    loaded_.backend = std::move(*backend);
    auto spec = models::build_spec(*loaded_.file);
    ASSERT_TRUE(spec) << spec.error().message;
    auto model = runtime::Model::load(*loaded_.file, *loaded_.backend, std::move(*spec));
    ASSERT_TRUE(model) << model.error().message;
    loaded_.model = std::move(*model);
  }

  std::unique_ptr<runtime::Context> context(int64_t batch_tokens, int64_t max_sequences = 1) {
    runtime::ContextOptions options;
    options.context_tokens = 128;
    options.batch_tokens = batch_tokens;
    options.max_sequences = max_sequences;
    options.kept_ends = 2;
    auto context = loaded_.model->new_context(options);
    EXPECT_TRUE(context) << context.error().message;
    return std::move(*context);
  }

  Request request(std::vector<TokenId> prompt) {
    Request request;
    request.prompt = std::move(prompt);
    request.options.sampling.seed = 5;
    request.options.sampling.temperature = 1.0F;
    request.options.sampling.repeat_penalty = 1.1F;
    request.options.max_tokens = 20;
    return request;
  }
  [[nodiscard]] Vocabulary vocabulary() const { return {nullptr, loaded_.model->spec().n_vocab}; }

  std::vector<TokenId> answer(std::vector<TokenId> prompt, int64_t batch_tokens) {
    const auto fresh = context(batch_tokens);
    Engine engine(*fresh, vocabulary());
    const auto generation = engine.run(request(std::move(prompt)), kNever);
    EXPECT_TRUE(generation) << generation.error().message;
    return generation ? generation->tokens : std::vector<TokenId>();
  }

  [[nodiscard]] bool is_recurrent() const {
    const auto& layers = loaded_.model->spec().layers;
    return std::any_of(layers.begin(), layers.end(), [](const runtime::LayerSpec& layer) {
      return runtime::state_shape(layer).n_floats() > 0;
    });
  }

  Loaded loaded_;
};

std::vector<TokenId> some_prompt(size_t n, TokenId seed) {
  std::vector<TokenId> prompt;
  for (size_t i = 0; i < n; ++i) {
    prompt.push_back(static_cast<TokenId>((static_cast<size_t>(seed) * 37 + i * i * 7 + 11) % 128));
  }
  return prompt;
}

TEST_P(TinyModel, PrefillChunksDoNotChangeTheAnswer) {
  const auto prompt = some_prompt(70, 1);  // more than one page of the cache
  const auto wanted = answer(prompt, 128);
  ASSERT_EQ(wanted.size(), 20U);
  for (const int64_t batch_tokens : {1, 3, 64}) EXPECT_EQ(answer(prompt, batch_tokens), wanted);
}

TEST_P(TinyModel, ACachedBeginningDoesNotChangeTheAnswer) {
  const auto fresh = context(64);
  Engine engine(*fresh, vocabulary());
  auto conversation = some_prompt(30, 2);
  for (int turn = 0; turn < 3; ++turn) {
    const auto generation = engine.run(request(conversation), kNever);
    ASSERT_TRUE(generation) << generation.error().message;
    EXPECT_EQ(generation->usage.cached > 0, turn > 0);
    EXPECT_EQ(generation->tokens, answer(conversation, 64)) << "turn " << turn;
    conversation.insert(conversation.end(), generation->tokens.begin(), generation->tokens.end());
    conversation.push_back(3);
  }
  // Back to an earlier point of the conversation; a recurrent state is computed anew.
  conversation.resize(40);
  conversation.push_back(77);
  for (const bool again : {false, true}) {  // the second time as if the answer was not wanted
    const auto generation = engine.run(request(conversation), kNever);
    ASSERT_TRUE(generation);
    EXPECT_EQ(generation->usage.cached, is_recurrent() ? 0 : 40);
    EXPECT_EQ(generation->tokens, answer(conversation, 64)) << "again " << again;
  }
}

TEST_P(TinyModel, NeighboursDoNotChangeTheAnswer) {
  const auto shared = context(16, 3);
  Engine engine(*shared, vocabulary());
  std::vector<std::vector<TokenId>> prompts;
  std::vector<Sequence*> sequences;
  for (TokenId i = 0; i < 5; ++i) {
    prompts.push_back(some_prompt(static_cast<size_t>(5 + i * 13), i));
    sequences.push_back(engine.submit(request(prompts.back())).value());
  }
  while (true) {
    const auto more = engine.step();
    ASSERT_TRUE(more) << more.error().message;
    if (!*more) break;
  }
  for (size_t i = 0; i < prompts.size(); ++i) {
    const auto generation = engine.take(sequences[i]);
    ASSERT_TRUE(generation) << generation.error().message;
    EXPECT_EQ(generation->tokens, answer(prompts[i], 128)) << "prompt " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Archs, TinyModel,
                         testing::Values("llama-dense", "gemma3-dense", "altered-gpt-oss-experts",
                                         "qwen3moe-moe", "altered-stablelm-parallel",
                                         "altered-deepseek2-absorbed", "altered-mamba2-groups",
                                         "altered-jamba-experts", "altered-falcon-h1-heads",
                                         "altered-lfm2-window", "altered-minimax-interval",
                                         "altered-qwen4exp-ngrams", "altered-kimi-linear-heads"),
                         [](const auto& test) {
                           std::string name = test.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace llmrun::engine
