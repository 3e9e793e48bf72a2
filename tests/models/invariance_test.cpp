// The same tokens give the same logits, bit for bit, whatever the number of threads and the history
// of the cache; and the CPU agrees with the reference. (chunking_test.cpp: whatever the batches.)
#include "models/tiny.h"
#include "paths.h"

namespace llmrun {
namespace {

using testing::kIds;
using testing::same_bits;

const std::string kStored = std::string(tests::kSourceDir) + "/tests/data/archs/";

// One of every kind of block: windows, experts, both latent layouts, parallel branches, sinks.
const std::vector<std::string> kModels = {"llama-dense",
                                          "altered-gemma3-window",
                                          "altered-qwen3moe-experts",
                                          "altered-gpt-oss-experts",
                                          "altered-deepseek2-absorbed",
                                          "altered-deepseek2-legacy",
                                          "altered-stablelm-parallel"};
// One of every kind of recurrent mixer, alone and beside attention.
const std::vector<std::string> kRecurrentModels = {
    "altered-mamba-norms",       "altered-mamba2-groups",         "altered-jamba-experts",
    "altered-falcon-h1-heads",   "altered-granitehybrid-experts", "altered-plamo2-heads",
    "altered-lfm2-window",       "altered-lfm2moe-experts",       "altered-minimax-interval",
    "altered-qwen3next-fused",   "altered-qwen35-sections",       "altered-qwen35moe-experts",
    "altered-kimi-linear-heads", "altered-nemotron-h-moe-latent", "altered-bailingmoe3-clamps",
    "altered-kimi-k3-bank",      "altered-qwen4exp-ngrams"};

struct Running {
  std::unique_ptr<kernels::Backend> backend;
  testing::TinyModel tiny;
  std::unique_ptr<runtime::Context> context;
};

Running start(const std::string& name, int threads,
              const runtime::ContextOptions& options = testing::float_cache(3)) {
  Running running;
  running.backend = testing::cpu_backend(threads);
  auto tiny = testing::open_tiny(kStored + name + ".gguf", *running.backend);
  EXPECT_TRUE(tiny) << name << ": " << (tiny ? "" : tiny.error().message);
  running.tiny = std::move(*tiny);
  auto context = running.tiny.model->new_context(options);
  EXPECT_TRUE(context) << name << ": " << (context ? "" : context.error().message);
  running.context = std::move(*context);
  return running;
}

std::vector<float> whole(const std::string& name, int threads, size_t chunk) {
  const Running running = start(name, threads);
  return testing::run_chunked(*running.context, kIds, chunk).value();
}

std::vector<std::string> all_models() {
  std::vector<std::string> models = kModels;
  models.insert(models.end(), kRecurrentModels.begin(), kRecurrentModels.end());
  return models;
}

class Invariance : public ::testing::TestWithParam<std::string> {};
class GoingBack : public ::testing::TestWithParam<std::string> {};
class RecurrentState : public ::testing::TestWithParam<std::string> {};

TEST_P(Invariance, OfThreads) {
  const auto expected = whole(GetParam(), 1, kIds.size());
  for (const int threads : {2, 3}) {
    EXPECT_TRUE(same_bits(whole(GetParam(), threads, 7), expected)) << threads << " threads";
  }
}

TEST_P(GoingBack, GivesWhatAFreshRunGives) {
  const Running running = start(GetParam(), 2);
  runtime::Context& context = *running.context;
  const auto expected = testing::run_chunked(context, kIds, kIds.size()).value();
  const size_t n_vocab = expected.size() / kIds.size();

  const auto id = context.open_sequence().value();
  std::vector<TokenId> wrong(kIds.begin(), kIds.begin() + 6);
  wrong.insert(wrong.end(), {1, 1, 1, 1});
  runtime::Batch batch;
  batch.chunks = {{id, wrong, runtime::WantedLogits::kNone}};
  ASSERT_TRUE(context.forward(batch));
  ASSERT_TRUE(context.truncate(id, 6));
  EXPECT_EQ(context.length(id), 6);
  batch.chunks = {{id, std::span(kIds).subspan(6), runtime::WantedLogits::kAll}};
  const auto logits = context.forward(batch);
  ASSERT_TRUE(logits);
  EXPECT_TRUE(same_bits({logits->data, 18 * n_vocab}, std::span(expected).subspan(6 * n_vocab)));
}

TEST_P(Invariance, CpuAgreesWithTheReference) {
  const auto reference = kernels::make_reference_backend();
  auto tiny = testing::open_tiny(kStored + GetParam() + ".gguf", *reference);
  ASSERT_TRUE(tiny);
  auto context = tiny->model->new_context(testing::float_cache());
  ASSERT_TRUE(context);
  const auto expected = testing::run_chunked(**context, kIds, kIds.size()).value();
  EXPECT_LT(testing::normalised_error(whole(GetParam(), 2, 24), expected), 1e-10);
}

// A state cannot go back, but it can be forgotten; the next sequence in its place starts afresh.
TEST_P(RecurrentState, GoesBackToTheStartOnly) {
  const Running running = start(GetParam(), 2);
  runtime::Context& context = *running.context;
  const auto expected = testing::run_chunked(context, kIds, kIds.size()).value();
  const auto id = context.open_sequence().value();
  runtime::Batch batch;
  batch.chunks = {{id, std::span(kIds).first(10), runtime::WantedLogits::kNone}};
  ASSERT_TRUE(context.forward(batch));
  EXPECT_EQ(context.restorable(id, 10), 10);
  EXPECT_EQ(context.restorable(id, 9), 0);
  const auto back = context.truncate(id, 9);
  ASSERT_FALSE(back);
  EXPECT_EQ(back.error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(context.length(id), 10);
  ASSERT_TRUE(context.truncate(id, 10));
  ASSERT_TRUE(context.truncate(id, 0));
  batch.chunks = {{id, kIds, runtime::WantedLogits::kAll}};
  const auto logits = context.forward(batch);
  ASSERT_TRUE(logits);
  EXPECT_TRUE(same_bits({logits->data, expected.size()}, expected));
  context.close_sequence(id);
  EXPECT_TRUE(same_bits(testing::run_chunked(context, kIds, 24).value(), expected));
}

// A fork at the end has a copy of the state and goes on as its parent would; one at an earlier
// token begins empty.
TEST_P(RecurrentState, ForksAtTheEnd) {
  const Running running = start(GetParam(), 2);
  runtime::Context& context = *running.context;
  const auto expected = testing::run_chunked(context, kIds, kIds.size()).value();
  const size_t n_vocab = expected.size() / kIds.size();
  const auto parent = context.open_sequence().value();
  runtime::Batch batch;
  batch.chunks = {{parent, std::span(kIds).first(10), runtime::WantedLogits::kNone}};
  ASSERT_TRUE(context.forward(batch));
  const auto child = context.fork_sequence(parent, 10).value();
  EXPECT_EQ(context.length(child), 10);
  EXPECT_EQ(context.length(context.fork_sequence(parent, 9).value()), 0);
  const std::vector<TokenId> other(5, 9);  // what the parent goes on with must not show
  batch.chunks = {{parent, other, runtime::WantedLogits::kNone}};
  ASSERT_TRUE(context.forward(batch));
  batch.chunks = {{child, std::span(kIds).subspan(10), runtime::WantedLogits::kAll}};
  const auto logits = context.forward(batch);
  ASSERT_TRUE(logits) << logits.error().message;
  EXPECT_TRUE(same_bits({logits->data, 14 * n_vocab}, std::span(expected).subspan(10 * n_vocab)));
}

std::string test_name(const ::testing::TestParamInfo<std::string>& model) {
  std::string name = model.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}
INSTANTIATE_TEST_SUITE_P(Models, Invariance, ::testing::ValuesIn(all_models()), test_name);
INSTANTIATE_TEST_SUITE_P(Models, GoingBack, ::testing::ValuesIn(kModels), test_name);
INSTANTIATE_TEST_SUITE_P(Models, RecurrentState, ::testing::ValuesIn(kRecurrentModels), test_name);

// A forked sequence shares the pages of its parent and goes on by itself.
TEST(Fork, SharesWholePagesAndCopiesOnWrite) {
  runtime::ContextOptions options = testing::float_cache(3);
  options.context_tokens = 192;
  options.batch_tokens = 192;
  const Running running = start("llama-dense", 2, options);
  runtime::Context& context = *running.context;
  std::vector<TokenId> ids;
  for (TokenId i = 0; i < 150; ++i) ids.push_back((i * 37 + 11) % 128);
  const auto expected = testing::run_chunked(context, ids, 150).value();
  const size_t n_vocab = expected.size() / ids.size();

  const auto parent = context.open_sequence().value();
  runtime::Batch batch;
  batch.chunks = {{parent, ids, runtime::WantedLogits::kNone}};
  ASSERT_TRUE(context.forward(batch));
  const auto child = context.fork_sequence(parent, 140);
  ASSERT_TRUE(child);
  ASSERT_EQ(context.length(*child), 128);
  ASSERT_TRUE(context.truncate(*child, 100));  // into a shared page, which must then be copied
  const std::vector<TokenId> other(20, 9);
  batch.chunks = {{*child, other, runtime::WantedLogits::kNone}};
  ASSERT_TRUE(context.forward(batch));

  // The parent still has its own keys at positions 100 to 127, and so does a fresh fork.
  for (const auto from : {parent, context.fork_sequence(parent, 128).value()}) {
    ASSERT_TRUE(context.truncate(from, 120));
    batch.chunks = {{from, std::span(ids).subspan(120), runtime::WantedLogits::kAll}};
    const auto logits = context.forward(batch);
    ASSERT_TRUE(logits) << logits.error().message;
    EXPECT_TRUE(
        same_bits({logits->data, 30 * n_vocab}, std::span(expected).subspan(120 * n_vocab)));
  }
}

// Every type of cache is close to the F32 one, in the order of its precision.
TEST(CacheTypes, AreClose) {
  using kernels::CacheType;
  const auto expected = whole("llama-dense", 2, 24);
  const std::vector<std::pair<CacheType, double>> limits = {{CacheType::kF16, 1e-5},
                                                            {CacheType::kBf16, 1e-3},
                                                            {CacheType::kInt8, 1e-3},
                                                            {CacheType::kFp8E4m3, 5e-2}};
  for (const auto& [type, limit] : limits) {
    runtime::ContextOptions options = testing::float_cache();
    options.k_type = options.v_type = type;
    const Running running = start("llama-dense", 2, options);
    const auto logits = testing::run_chunked(*running.context, kIds, 9).value();
    const double error = testing::normalised_error(logits, expected);
    EXPECT_LT(error, limit) << static_cast<int>(type);
    EXPECT_GT(error, 0.0) << static_cast<int>(type);  // else the type has no effect
  }
}

}  // namespace
}  // namespace llmrun
