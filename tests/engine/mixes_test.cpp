// The promise of the engine on real (tiny) models of every kind: a request's tokens, and the logits
// they are drawn from, are the same bits whatever the batch size, the neighbours, the threads, the
// chunks, the pool, what the caches hold in memory or on disk, and whoever had to wait.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <random>

#include "engine/engine.h"
#include "gguf/reader.h"
#include "kernels/backend.h"
#include "models/registry.h"
#include "paths.h"
#include "runtime/model.h"

namespace llmrun::engine {
namespace {

constexpr int64_t kContext = 320;
constexpr int kMixes = 30;
const std::atomic<bool> kNever{false};

struct Loaded {
  std::unique_ptr<kernels::Backend> backend;
  std::unique_ptr<runtime::Model> model;
};

class Mixes : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    const std::string path =
        std::string(tests::kSourceDir) + "/tests/data/archs/" + GetParam() + ".gguf";
    auto file = gguf::File::open(path);
    ASSERT_TRUE(file) << file.error().message;
    file_ = std::make_unique<gguf::File>(std::move(*file));
    for (int threads = 1; threads <= 2; ++threads) {
      Loaded& loaded = loaded_[static_cast<size_t>(threads - 1)];
      loaded.backend = std::move(*kernels::make_backend("cpu", {threads, {}}));
      auto model = runtime::Model::load(*file_, *loaded.backend, *models::build_spec(*file_));
      ASSERT_TRUE(model) << model.error().message;
      loaded.model = std::move(*model);
    }
    folder_ = std::filesystem::path(testing::TempDir()) /
              ("mixes-" + std::string(GetParam()) + "-" + std::to_string(::getpid()));
  }
  ~Mixes() override { std::filesystem::remove_all(folder_); }

  [[nodiscard]] uint32_t below(uint32_t n) { return static_cast<uint32_t>(random_() % n); }
  [[nodiscard]] Vocabulary vocabulary() const {
    return {nullptr, loaded_[0].model->spec().n_vocab};
  }

  std::vector<TokenId> text(size_t n) {
    std::vector<TokenId> tokens(n);
    for (TokenId& id : tokens) id = static_cast<TokenId>(below(128));
    return tokens;
  }

  // A request whose prompt begins like an earlier text, or not.
  Request draw_request() {
    Request request;
    if (!texts_.empty() && below(4) > 0) {
      request.prompt = texts_[below(static_cast<uint32_t>(texts_.size()))];
      request.prompt.resize(1 + below(static_cast<uint32_t>(request.prompt.size())));
    }
    const auto more = text(1 + below(below(3) == 0 ? 150 : 20));
    request.prompt.insert(request.prompt.end(), more.begin(), more.end());
    request.prompt.resize(std::min<size_t>(request.prompt.size(), 280));
    GenerateOptions& options = request.options;
    options.max_tokens = 1 + below(40);
    options.hash_logits = true;
    options.sampling.seed = below(1000);
    options.sampling.temperature = below(2) == 0 ? 0.0F : 1.0F;
    options.sampling.repeat_penalty = below(2) == 0 ? 1.0F : 1.1F;
    options.sampling.mirostat = below(5) == 0 ? 2 : 0;
    return request;
  }

  Generation alone(const Request& request) {
    runtime::ContextOptions options;
    options.context_tokens = kContext;
    const auto context = std::move(*loaded_[0].model->new_context(options));
    Engine engine(*context, vocabulary());
    return *engine.run(request, kNever);
  }

  runtime::ContextOptions draw_options() {
    runtime::ContextOptions options;
    options.context_tokens = kContext;
    options.max_sequences = 1 + below(5);
    options.batch_tokens = 1 + below(below(2) == 0 ? 16 : 400);
    options.kept_ends = below(4);
    options.pool_tokens = kContext + below(600);
    return options;
  }

  std::unique_ptr<gguf::File> file_;
  Loaded loaded_[2];
  std::mt19937 random_{2024};
  std::vector<std::vector<TokenId>> texts_;
  std::filesystem::path folder_;
};

TEST_P(Mixes, GiveTheBitsOfEachRequestAlone) {
  int64_t n_cached = 0;
  for (int mix = 0; mix < kMixes; ++mix) {
    SCOPED_TRACE("mix " + std::to_string(mix));
    Loaded& loaded = loaded_[below(2)];
    const auto context = std::move(*loaded.model->new_context(draw_options()));
    Engine engine(*context, vocabulary());
    if (below(2) == 0) {
      engine.keep_on_disk({.folder = folder_,
                           .key = []() -> Result<std::string> { return "one model"; },
                           .least_tokens = 64});
    }
    std::vector<Request> requests;
    std::vector<Sequence*> sequences;
    const size_t n_requests = 1 + below(8);
    bool more = true;
    while (more || requests.size() < n_requests) {
      if (requests.size() < n_requests && below(3) == 0) {
        requests.push_back(draw_request());
        sequences.push_back(engine.submit(requests.back()).value());
      }
      const auto stepped = engine.step();
      ASSERT_TRUE(stepped) << stepped.error().message;
      more = *stepped;
    }
    for (size_t i = 0; i < requests.size(); ++i) {
      const auto answer = engine.take(sequences[i]);
      ASSERT_TRUE(answer) << answer.error().message;
      const Generation expected = alone(requests[i]);
      ASSERT_EQ(answer->tokens, expected.tokens) << "request " << i;
      ASSERT_EQ(answer->logits_hashes, expected.logits_hashes) << "request " << i;
      n_cached += answer->usage.cached;
      texts_.push_back(requests[i].prompt);
      texts_.back().insert(texts_.back().end(), answer->tokens.begin(), answer->tokens.end());
    }
  }
  EXPECT_GT(n_cached, 0);
}

INSTANTIATE_TEST_SUITE_P(Archs, Mixes,
                         testing::Values("llama-dense", "altered-gemma3-window",
                                         "altered-gpt-oss-experts", "qwen3moe-moe",
                                         "altered-deepseek2-absorbed", "altered-mamba2-groups",
                                         "altered-qwen35-sections", "altered-lfm2-window",
                                         "altered-qwen4exp-ngrams", "altered-falcon-h1-heads"),
                         [](const auto& test) {
                           std::string name = test.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace llmrun::engine
