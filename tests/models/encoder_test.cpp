// Encoders against forward passes in NumPy (make_encoders.py), pooling, and that a text's vector
// never depends on what is read beside it.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <cstring>

#include "models/tiny.h"
#include "paths.h"

namespace llmrun {
namespace {

using ::testing::HasSubstr;
using testing::kIds;

const std::string kFolder = std::string(tests::kSourceDir) + "/tests/data/encoders/";
constexpr int64_t kSecondText = 10;  // as in make_encoders.py
constexpr double kLimit = 1e-6;

runtime::ContextOptions pooled(std::optional<Pooling> pooling, int64_t max_sequences = 4) {
  runtime::ContextOptions options = testing::float_cache(max_sequences);
  options.pooling = pooling;
  options.batch_tokens = 128;
  return options;
}

struct Running {
  std::unique_ptr<kernels::Backend> backend;
  testing::TinyModel tiny;
  std::unique_ptr<runtime::Context> context;
};

Running start(const std::string& name, std::optional<Pooling> pooling,
              std::unique_ptr<kernels::Backend> backend = testing::cpu_backend()) {
  Running running;
  running.backend = std::move(backend);
  auto tiny = testing::open_tiny(kFolder + name + ".gguf", *running.backend);
  EXPECT_TRUE(tiny) << name << ": " << (tiny ? "" : tiny.error().message);
  running.tiny = std::move(*tiny);
  if (!pooling) pooling = running.tiny.model->spec().embedding_head.pooling;
  auto context = running.tiny.model->new_context(pooled(pooling));
  EXPECT_TRUE(context) << name << ": " << (context ? "" : context.error().message);
  running.context = std::move(*context);
  return running;
}

std::vector<float> values(const Result<runtime::Embeddings>& rows) {
  EXPECT_TRUE(rows) << (rows ? "" : rows.error().message);
  if (!rows) return {};
  return {rows->data, rows->data + rows->n_rows * rows->width};
}

runtime::EmbedInput input(const std::string& name, const std::vector<TokenId>& ids = kIds) {
  return {ids, name == "bert-reranker" ? kSecondText : INT64_MAX};
}

std::vector<float> embed_one(const Running& running, const std::string& name) {
  const runtime::EmbedInput text = input(name);
  return values(running.context->embed({&text, 1}));
}

bool same_bits(std::span<const float> a, std::span<const float> b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
}

class Encoder : public ::testing::TestWithParam<std::string> {
 protected:
  void compare(const std::string& ending, std::optional<Pooling> pooling,
               std::unique_ptr<kernels::Backend> backend) {
    const std::string target(backend->target());
    const Running running = start(GetParam(), pooling, std::move(backend));
    const auto expected = read_npy(kFolder + GetParam() + ending);
    ASSERT_TRUE(expected) << expected.error().message;
    const double error =
        testing::normalised_error(embed_one(running, GetParam()), expected->as<float>());
    fmt::print("{:<16} {:<12} {:<10} {:.2e}\n", GetParam(), ending, target, error);
    EXPECT_LT(error, kLimit);  // also fails for NaN
  }
};

TEST_P(Encoder, HiddenStatesAreThoseOfTheDescription) {
  compare(".npy", Pooling::kNone, kernels::make_reference_backend());
  compare(".npy", Pooling::kNone, testing::cpu_backend());
}

TEST_P(Encoder, PooledVectorsAreThoseOfTheDescription) {
  compare(".pooled.npy", std::nullopt, kernels::make_reference_backend());
  compare(".pooled.npy", std::nullopt, testing::cpu_backend());
}

// Beside texts of other lengths, at another place of the batch, with other thread counts.
TEST_P(Encoder, NeighboursAndThreadsChangeNothing) {
  const auto alone = embed_one(start(GetParam(), std::nullopt), GetParam());
  const std::vector<TokenId> other = {5, 5, 90, 1, 77};
  std::vector<TokenId> longer;
  for (TokenId i = 0; i < 64; ++i) longer.push_back((i * 37 + 11) % 128);
  for (const int threads : {1, 2, 3}) {
    const Running running = start(GetParam(), std::nullopt, testing::cpu_backend(threads));
    for (int again = 0; again < 2; ++again) {  // the pages are used again
      const runtime::EmbedInput texts[] = {input("", other), input("", longer), input(GetParam())};
      const auto rows = running.context->embed(texts);
      ASSERT_TRUE(rows) << rows.error().message;
      ASSERT_EQ(rows->n_rows, 3);
      EXPECT_TRUE(same_bits(rows->row(2), alone)) << threads << " threads";
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Models, Encoder,
                         ::testing::Values("bert", "bert-reranker", "nomic-bert", "nomic-bert-moe",
                                           "jina-bert-v2", "modern-bert", "gemma-embedding"),
                         [](const auto& model) {
                           std::string name = model.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST(Pooling, KindsTakeWhatTheySay) {
  const auto hidden = embed_one(start("bert", Pooling::kNone), "bert");
  const size_t width = hidden.size() / kIds.size();
  const std::span<const float> rows(hidden);
  EXPECT_TRUE(same_bits(embed_one(start("bert", Pooling::kCls), "bert"), rows.subspan(0, width)));
  EXPECT_TRUE(same_bits(embed_one(start("bert", Pooling::kLast), "bert"),
                        rows.subspan(hidden.size() - width)));
  std::vector<float> mean(width);
  for (size_t i = 0; i < hidden.size(); ++i) {
    mean[i % width] += hidden[i] / static_cast<float>(kIds.size());
  }
  EXPECT_LT(testing::normalised_error(embed_one(start("bert", Pooling::kMean), "bert"), mean),
            1e-12);
}

// A decoder embeds too: the last token has seen the whole text, and the vector is that of the
// normed hidden states.
TEST(Pooling, OfADecoder) {
  auto backend = testing::cpu_backend();
  auto tiny = testing::open_tiny(
      std::string(tests::kSourceDir) + "/tests/data/archs/llama-dense.gguf", *backend);
  ASSERT_TRUE(tiny);
  std::vector<std::vector<float>> vectors;
  for (const size_t n : {kIds.size(), kIds.size() - 1}) {
    auto context = tiny->model->new_context(pooled(Pooling::kNone));
    ASSERT_TRUE(context) << context.error().message;
    const runtime::EmbedInput text{std::span(kIds).first(n)};
    vectors.push_back(values((*context)->embed({&text, 1})));
  }
  // Causal: the rows of the shorter text are the first rows of the longer one.
  EXPECT_TRUE(same_bits(std::span(vectors[0]).first(vectors[1].size()), vectors[1]));
  auto context = tiny->model->new_context(pooled(Pooling::kLast));
  ASSERT_TRUE(context);
  const runtime::EmbedInput text{kIds};
  const auto last = values((*context)->embed({&text, 1}));
  EXPECT_TRUE(same_bits(last, std::span(vectors[0]).last(last.size())));
}

TEST(Pooling, TokenTypesTellTheTextsOfAPairApart) {
  const Running running = start("bert-reranker", std::nullopt);
  const runtime::EmbedInput pair{kIds, kSecondText};
  const runtime::EmbedInput single{kIds};
  const auto a = values(running.context->embed({&pair, 1}));
  const auto b = values(running.context->embed({&single, 1}));
  EXPECT_FALSE(same_bits(a, b));
}

TEST(Pooling, WhatCannotBeIsRefused) {
  const Running running = start("bert", Pooling::kMean);
  const auto logits = running.tiny.model->new_context(testing::float_cache());
  ASSERT_FALSE(logits);
  EXPECT_EQ(logits.error().code, ErrorCode::kUnsupported);
  EXPECT_THAT(logits.error().message, HasSubstr("predicts no tokens"));
  const auto rank = running.tiny.model->new_context(pooled(Pooling::kRank));
  ASSERT_FALSE(rank);
  EXPECT_THAT(rank.error().message, HasSubstr("cls.output.weight"));

  const std::vector<TokenId> long_text(65, 1);
  const runtime::EmbedInput too_long{long_text};
  const auto overflow = running.context->embed({&too_long, 1});
  ASSERT_FALSE(overflow);
  EXPECT_EQ(overflow.error().code, ErrorCode::kContextOverflow);
  EXPECT_FALSE(running.context->forward({}));
  EXPECT_FALSE(running.context->embed({}));
  const std::vector<runtime::EmbedInput> five(5, runtime::EmbedInput{kIds});
  EXPECT_FALSE(running.context->embed(five));        // the context was opened for four
  EXPECT_FALSE(embed_one(running, "bert").empty());  // and all of that did no harm
}

}  // namespace
}  // namespace llmrun
