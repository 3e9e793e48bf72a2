// Vectors and ranked documents of tiny encoders (tests/models/make_encoders.py).
#include <gmock/gmock.h>

#include <cmath>
#include <set>

#include "api/api_fixture.h"
#include "paths.h"

namespace llmrun {
namespace {

using ::testing::HasSubstr;

std::filesystem::path encoder_path(const std::string& name) {
  return std::filesystem::path(tests::kSourceDir) / "tests/data/encoders" / (name + ".gguf");
}

Embedder open(const std::string& name, const EmbedderOptions& options = {}) {
  const Model model = must(Model::open(encoder_path(name)));
  return must(Embedder::open(model, options));
}

double length_of(std::span<const float> values) {
  double square = 0;
  for (const float value : values)
    square += static_cast<double>(value) * static_cast<double>(value);
  return std::sqrt(square);
}

const std::vector<std::string> kTexts = {
    "the cat sat on the mat", "what", "", "Where is the dog?", "red, green and blue", "zebra 42"};

TEST(EmbedderTest, VectorsHaveLengthOneUnlessNotWanted) {
  Embedder embedder = open("bert");
  EXPECT_EQ(embedder.pooling(), Pooling::kMean);
  EXPECT_EQ(embedder.dimensions(), 32);
  EXPECT_EQ(embedder.max_tokens(), 64);
  const auto normalised = must(embedder.embed(kTexts));
  const auto raw = must(embedder.embed(kTexts, {.normalize = false}));
  ASSERT_EQ(normalised.size(), kTexts.size());
  for (size_t i = 0; i < kTexts.size(); ++i) {
    ASSERT_EQ(normalised[i].values.size(), 32U);
    EXPECT_NEAR(length_of(normalised[i].values), 1.0, 1e-6);
    const double length = length_of(raw[i].values);
    EXPECT_GT(std::abs(length - 1.0), 1e-3);
    EXPECT_NEAR(raw[i].values[5], static_cast<double>(normalised[i].values[5]) * length, 1e-5);
  }
  EXPECT_EQ(normalised[0].n_tokens, 8);  // six words and two special tokens
  EXPECT_EQ(normalised[2].n_tokens, 2);
}

TEST(EmbedderTest, ATextHasTheSameVectorAloneAndAmongOthers) {
  Embedder one = open("bert");
  Embedder other = open("bert", {.max_tokens = 20, .batch_tokens = 20});  // a few texts per pass
  std::vector<std::string> many;
  for (int i = 0; i < 100; ++i) many.push_back(kTexts[static_cast<size_t>(i) % kTexts.size()]);
  const auto together = must(one.embed(many));
  const auto in_small_passes = must(other.embed(many));
  for (size_t i = 0; i < many.size(); ++i) {
    const auto alone = must(one.embed(std::span(many).subspan(i, 1)));
    EXPECT_EQ(alone[0].values, together[i].values) << i;
    EXPECT_EQ(in_small_passes[i].values, together[i].values) << i;
  }
}

TEST(EmbedderTest, FirstDimensionsAreNormalisedAgain) {
  Embedder embedder = open("bert");
  const auto whole = must(embedder.embed(kTexts));
  const auto cut = must(embedder.embed(kTexts, {.dimensions = 8}));
  ASSERT_EQ(cut[0].values.size(), 8U);
  EXPECT_NEAR(length_of(cut[0].values), 1.0, 1e-6);
  EXPECT_NEAR(cut[0].values[0] / cut[0].values[1], whole[0].values[0] / whole[0].values[1], 1e-4);
  const auto too_many = embedder.embed(kTexts, {.dimensions = 33});
  ASSERT_FALSE(too_many);
  EXPECT_EQ(too_many.error().code, ErrorCode::kUsage);
  EXPECT_THAT(too_many.error().message, HasSubstr("32"));
}

TEST(EmbedderTest, TooLongATextIsAnErrorUnlessItMayBeCut) {
  Embedder embedder = open("bert");
  std::string text;
  for (int i = 0; i < 70; ++i) text += "cat ";
  const std::vector<std::string> texts = {"dog", text};
  const auto refused = embedder.embed(texts);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kContextOverflow);
  EXPECT_THAT(refused.error().message, HasSubstr("Text 2"));
  EXPECT_THAT(refused.error().message, HasSubstr("72"));
  EXPECT_THAT(refused.error().message, HasSubstr("64"));
  const auto cut = must(embedder.embed(texts, {.truncate = true}));
  EXPECT_EQ(cut[0].dropped_tokens, 0);
  EXPECT_EQ(cut[1].dropped_tokens, 8);
  EXPECT_EQ(cut[1].n_tokens, 64);
  // What is cut is what stands before the end token: the same as a text of 62 cats.
  const std::vector<std::string> shorter = {text.substr(0, 62 * 4)};
  EXPECT_EQ(must(embedder.embed(shorter))[0].values, cut[1].values);
}

TEST(EmbedderTest, VectorsComeOneByOneAndCanBeStopped) {
  Embedder embedder = open("bert");
  int64_t n = 0;
  const auto stopped =
      embedder.embed(kTexts, {}, [&](int64_t index, const Embedding&) -> Result<void> {
        EXPECT_EQ(index, n++);
        if (n == 3) return tl::unexpected(Error{ErrorCode::kIo, "enough", ""});
        return {};
      });
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().message, "enough");
  EXPECT_EQ(n, 3);
}

TEST(EmbedderTest, OneVectorPerTokenWithoutPooling) {
  Embedder embedder = open("bert", {.pooling = Pooling::kNone});
  const auto rows = must(embedder.embed(kTexts));
  for (const Embedding& each : rows) {
    EXPECT_EQ(each.values.size(), static_cast<size_t>(each.n_tokens * each.dimensions));
    EXPECT_NEAR(length_of(std::span(each.values).last(32)), 1.0, 1e-6);
  }
}

TEST(EmbedderTest, DecodersNeedToBeToldHowToPool) {
  const Model model = must(Model::open(tiny_chat_path()));
  const auto unsaid = Embedder::open(model);
  ASSERT_FALSE(unsaid);
  EXPECT_THAT(unsaid.error().message, HasSubstr("pooling"));
  Embedder embedder = must(Embedder::open(model, {.pooling = Pooling::kLast, .max_tokens = 32}));
  const std::vector<std::string> texts = {"Hello you"};
  EXPECT_NEAR(length_of(must(embedder.embed(texts))[0].values), 1.0, 1e-6);
  const std::vector<std::string> empty = {""};
  const auto nothing = embedder.embed(empty);
  if (!nothing) {
    EXPECT_EQ(nothing.error().code, ErrorCode::kUsage);
  }
}

TEST(EmbedderTest, EncodersPredictNoTokens) {
  const Model model = must(Model::open(encoder_path("bert")));
  const auto session = model.new_session();
  ASSERT_FALSE(session);
  EXPECT_EQ(session.error().code, ErrorCode::kUnsupported);
  EXPECT_THAT(session.error().message, HasSubstr("llmrun embed"));
  const auto memory = must(estimate_memory(encoder_path("bert"), {}));
  EXPECT_GT(memory.total_bytes, 0U);
}

TEST(Rerank, BestFirstAndEachAsAlone) {
  Embedder embedder = open("bert-reranker");
  const auto ranked = must(embedder.rank("where is the cat", kTexts));
  ASSERT_EQ(ranked.size(), kTexts.size());
  std::set<int64_t> seen;
  for (size_t i = 0; i < ranked.size(); ++i) {
    if (i > 0) {
      EXPECT_GE(ranked[i - 1].score, ranked[i].score);
    }
    seen.insert(ranked[i].index);
    const auto index = static_cast<size_t>(ranked[i].index);
    const auto alone = must(embedder.rank("where is the cat", std::span(kTexts).subspan(index, 1)));
    EXPECT_EQ(alone[0].score, ranked[i].score);
  }
  EXPECT_EQ(seen.size(), kTexts.size());
  // [CLS] query [SEP] document [SEP]
  for (const RankedDocument& each : ranked) {
    if (each.index == 1) {
      EXPECT_EQ(each.n_tokens, 1 + 4 + 1 + 1 + 1);
    }
  }
}

TEST(Rerank, DocumentsMayBeCutTheQueryNot) {
  Embedder embedder = open("bert-reranker");
  std::string text;
  for (int i = 0; i < 70; ++i) text += "cat ";
  const std::vector<std::string> documents = {text};
  const auto refused = embedder.rank("dog", documents);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kContextOverflow);
  const auto cut = must(embedder.rank("dog", documents, true));
  EXPECT_EQ(cut[0].n_tokens, 64);
  EXPECT_EQ(cut[0].dropped_tokens, 10);
  EXPECT_FALSE(embedder.rank(text, documents, true));
}

TEST(Rerank, OnlyRerankersRank) {
  const Model model = must(Model::open(encoder_path("bert")));
  const auto no_classifier = Embedder::open(model, {.pooling = Pooling::kRank});
  ASSERT_FALSE(no_classifier);
  EXPECT_EQ(no_classifier.error().code, ErrorCode::kUnsupported);
  Embedder reranker = open("bert-reranker");
  EXPECT_FALSE(reranker.embed(kTexts));
  EXPECT_FALSE(open("bert").rank("cat", kTexts));
}

}  // namespace
}  // namespace llmrun
