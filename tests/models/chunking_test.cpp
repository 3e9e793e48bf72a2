// Every registered architecture gives the same logits, bit for bit, however its text reaches it: in
// one batch, in chunks, token by token, or beside another sequence. Models that are not causal take
// a text in one chunk or not at all.
#include "models/tiny.h"
#include "paths.h"

namespace llmrun {
namespace {

using testing::same_bits;

const std::string kStored = std::string(tests::kSourceDir) + "/tests/data/archs";
const std::string kShared = std::string(tests::kSharedDir) + "/golden/archs";

// The models of a folder whose architecture is registered.
std::vector<std::string> registered_models(const std::string& folder) {
  std::vector<std::string> stems = testing::models_in(folder);
  std::erase_if(stems, [](const std::string& stem) {
    return !testing::registered(testing::architecture_of(stem + ".gguf"));
  });
  return stems;
}

std::vector<std::string> all_models() {
  std::vector<std::string> stems = registered_models(kStored);
  for (std::string& stem : registered_models(kShared)) stems.push_back(std::move(stem));
  return stems;
}

// Longer than a page of the cache and than every window, if the model can be so long.
std::vector<TokenId> text(int64_t n_tokens, int seed) {
  std::vector<TokenId> ids;
  for (int i = 0; i < n_tokens; ++i) ids.push_back((i * i * 7 + i * 31 + seed) % 128);
  return ids;
}

class Chunking : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    backend_ = testing::cpu_backend();
    auto tiny = testing::open_tiny(GetParam() + ".gguf", *backend_);
    ASSERT_TRUE(tiny) << tiny.error().message;
    tiny_ = std::move(*tiny);
    const runtime::ModelSpec& spec = tiny_.model->spec();
    causal_ = spec.causal;
    runtime::ContextOptions options = testing::float_cache(3);
    options.context_tokens = std::min<int64_t>(90, spec.context_length);
    options.batch_tokens = 2 * options.context_tokens;
    auto context = tiny_.model->new_context(options);
    ASSERT_TRUE(context) << context.error().message;
    context_ = std::move(*context);
    ids_ = text(options.context_tokens, 3);
  }

  std::vector<float> logits_of(const std::vector<TokenId>& ids, size_t chunk) {
    auto logits = testing::run_chunked(*context_, ids, chunk);
    EXPECT_TRUE(logits) << (logits ? "" : logits.error().message);
    return logits ? *std::move(logits) : std::vector<float>();
  }

  std::unique_ptr<kernels::Backend> backend_;
  testing::TinyModel tiny_;
  std::unique_ptr<runtime::Context> context_;
  std::vector<TokenId> ids_;
  bool causal_ = true;
};

TEST_P(Chunking, ChunksAndSingleTokensEqualOneBatch) {
  const std::vector<float> expected = logits_of(ids_, ids_.size());
  if (!causal_) {
    const auto more = testing::run_chunked(*context_, ids_, 7);
    ASSERT_FALSE(more);
    EXPECT_EQ(more.error().code, ErrorCode::kUsage);
    return;
  }
  for (const size_t chunk : {1U, 7U, 33U}) {
    EXPECT_TRUE(same_bits(logits_of(ids_, chunk), expected)) << "chunks of " << chunk;
  }
}

// Two sequences in the same passes, a prompt beside a decode, each against itself alone.
TEST_P(Chunking, MixedBatchesEqualEachAlone) {
  const std::vector<TokenId> other = text(20, 77);
  const std::vector<float> expected = logits_of(ids_, ids_.size());
  const std::vector<float> other_expected = logits_of(other, other.size());
  const size_t n_vocab = expected.size() / ids_.size();
  const auto a = context_->open_sequence().value();
  const auto b = context_->open_sequence().value();

  // How many tokens of `other` and of ids_ each pass takes.
  using Steps = std::vector<std::pair<size_t, size_t>>;
  const Steps steps = causal_ ? Steps{{18, 30}, {1, 25}, {1, ids_.size() - 55}}
                              : Steps{{other.size(), ids_.size()}};
  size_t other_done = 0, done = 0;
  for (const auto& [n_other, n] : steps) {
    runtime::Batch batch;
    batch.chunks = {{b, std::span(other).subspan(other_done, n_other), runtime::WantedLogits::kAll},
                    {a, std::span(ids_).subspan(done, n), runtime::WantedLogits::kAll}};
    const auto logits = context_->forward(batch);
    ASSERT_TRUE(logits) << logits.error().message;
    const std::span<const float> rows(logits->data, (n_other + n) * n_vocab);
    EXPECT_TRUE(
        same_bits(rows.first(n_other * n_vocab),
                  std::span(other_expected).subspan(other_done * n_vocab, n_other * n_vocab)));
    EXPECT_TRUE(same_bits(rows.subspan(n_other * n_vocab),
                          std::span(expected).subspan(done * n_vocab, n * n_vocab)));
    other_done += n_other;
    done += n;
  }
}

std::string test_name(const ::testing::TestParamInfo<std::string>& model) {
  const std::string from = model.param.starts_with(kStored) ? "stored_" : "shared_";
  std::string name = std::filesystem::path(model.param).filename().string();
  std::replace_if(
      name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return from + name;
}

INSTANTIATE_TEST_SUITE_P(Models, Chunking, ::testing::ValuesIn(all_models()), test_name);

TEST(ChunkingModels, AreThere) {
  EXPECT_GE(registered_models(kStored).size(), 18U);
  if (!std::filesystem::exists(kShared)) GTEST_SKIP() << "skipped: no ../shared";
  EXPECT_GE(registered_models(kShared).size(), models::registered_architectures().size());
}

}  // namespace
}  // namespace llmrun
