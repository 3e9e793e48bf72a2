// Judging: scores by hand, a model against itself, against a quantised one and a recorded base.
#include "llmrun/judge.h"

#include <gmock/gmock.h>

#include <cmath>

#include "api/score.h"
#include "api_fixture.h"
#include "base/npy.h"
#include "base/temporary_folder.h"
#include "llmrun/quantize.h"

namespace llmrun {
namespace {

using testing::HasSubstr;

TEST(Score, DivergencesByHand) {
  const std::vector<float> p = {std::log(0.5F), std::log(0.25F), std::log(0.25F)};
  const std::vector<float> q = {std::log(0.25F), std::log(0.5F), std::log(0.25F)};
  const double expected = 0.5 * std::log(2.0) - 0.25 * std::log(2.0);
  EXPECT_NEAR(kl_divergence(p, q), expected, 1e-6);
  EXPECT_EQ(kl_divergence(p, p), 0.0);
  std::vector<float> shifted = q;  // logits have no zero point
  for (float& logit : shifted) logit += 7.0F;
  EXPECT_NEAR(kl_divergence(p, shifted), expected, 1e-6);
  EXPECT_NEAR(negative_log_likelihood(shifted, 1), std::log(2.0), 1e-6);

  // Of p only the best is known: two outcomes, 1/2 and 1/2 against 1/4 and 3/4.
  const std::vector<int32_t> ids = {0};
  const std::vector<float> known = {std::log(0.5F)};
  const double coarse = 0.5 * std::log(2.0) + 0.5 * std::log(0.5 / 0.75);
  EXPECT_NEAR(kl_divergence(ids, known, q), coarse, 1e-6);
  EXPECT_LT(coarse, expected);
  // All known: the same as the whole.
  const std::vector<int32_t> all = {0, 1, 2};
  EXPECT_NEAR(kl_divergence(all, p, q), expected, 1e-6);
}

TEST(Score, MeansAndErrorsByHand) {
  Sample sample;
  for (const double x : {1.0, 2.0, 3.0, 4.0}) sample.add(x);
  EXPECT_NEAR(sample.result().value, 2.5, 1e-12);
  EXPECT_NEAR(sample.result().standard_error, std::sqrt(5.0 / 3.0 / 4.0), 1e-12);
  EXPECT_NEAR(sample.exp_result().value, std::exp(2.5), 1e-9);
  AgreementSums sums;
  sums.add(0.5, true);
  sums.add(1.5, false);
  EXPECT_NEAR(sums.result().kl_divergence.value, 1.0, 1e-12);
  EXPECT_NEAR(sums.result().same_top.value, 0.5, 1e-12);
}

std::string some_text(int n_lines) {
  std::string text;
  for (int i = 0; i < n_lines; ++i) text += fmt::format("Line {} says hello to {}. ", i, i * i);
  return text;
}

CompareOptions without_timing() {
  CompareOptions options;
  options.text = some_text(40);
  options.context_tokens = 64;
  options.prompt_tokens = 0;
  options.decode_tokens = 0;
  return options;
}

TEST(Compare, AModelAgreesWithItself) {
  const Comparison same =
      must(compare_models(tiny_chat_path(), tiny_chat_path(), without_timing()));
  ASSERT_TRUE(same.agreement);
  EXPECT_EQ(same.agreement->kl_divergence.value, 0.0);
  EXPECT_EQ(same.agreement->same_top.value, 1.0);
  EXPECT_GT(same.agreement->n_positions, 100);
  EXPECT_EQ(same.perplexity_ratio->value, 1.0);
  // The same numbers as `perplexity`, which reads alone.
  const Model model = must(Model::open(tiny_chat_path()));
  const Perplexity alone = must(perplexity(model, some_text(40), 64));
  EXPECT_NEAR(same.base.perplexity.perplexity, alone.perplexity, 1e-6 * alone.perplexity);
  EXPECT_EQ(same.base.perplexity.n_tokens, alone.n_tokens);
}

TEST(Compare, FewerBitsDivergeMore) {
  const test::TemporaryFolder folder;
  double last = 0.0;
  for (const char* type : {"Q8_0", "Q4_0", "IQ4_NL"}) {
    QuantizeOptions quantize;
    quantize.input = tiny_chat_path();
    quantize.output = folder.file("small.gguf");
    quantize.type = type;
    must(quantize_model(quantize));
    const Comparison result =
        must(compare_models(tiny_chat_path(), quantize.output, without_timing()));
    EXPECT_LT(result.other.file_bytes, result.base.file_bytes);
    EXPECT_GT(result.agreement->kl_divergence.value, 0.0);
    if (std::string(type) == "Q8_0") last = result.agreement->kl_divergence.value;
    if (std::string(type) == "Q4_0") {
      EXPECT_GT(result.agreement->kl_divergence.value, 4 * last);
    }
  }
}

class JudgeAgainst : public testing::Test {
 protected:
  // Records the base as `llmrun logits --top K` does.
  void record(int64_t k) {
    ContextOptions context;
    const auto tokens = must(model_.tokenize(text_));
    context.context_tokens = static_cast<int64_t>(tokens.size());
    context.k_type = context.v_type = "f32";
    Session session = must(model_.new_session(context));
    TopPredictions top;
    top.n_tokens = context.context_tokens;
    top.k = k;
    must(session.logits(
        tokens, [&](int64_t, int64_t n_rows, std::span<const float> rows) -> Result<void> {
          const size_t n_vocab = rows.size() / static_cast<size_t>(n_rows);
          for (int64_t i = 0; i < n_rows; ++i) {
            const auto row = rows.subspan(static_cast<size_t>(i) * n_vocab, n_vocab);
            std::vector<int32_t> order(n_vocab);
            for (size_t id = 0; id < n_vocab; ++id) order[id] = static_cast<int32_t>(id);
            std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
              return row[static_cast<size_t>(a)] > row[static_cast<size_t>(b)];
            });
            for (int64_t j = 0; j < k; ++j) {
              const int32_t id = order[static_cast<size_t>(j)];
              top.ids.push_back(id);
              top.log_probabilities.push_back(
                  static_cast<float>(-negative_log_likelihood(row, id)));
            }
          }
          return {};
        }));
    const uint64_t shape[] = {static_cast<uint64_t>(top.n_tokens), static_cast<uint64_t>(k)};
    must(write_npy<int32_t>(folder_.file("base.ids.npy"), shape, top.ids));
    must(write_npy<float>(folder_.file("base.logprobs.npy"), shape, top.log_probabilities));
  }

  test::TemporaryFolder folder_;
  Model model_ = must(Model::open(tiny_chat_path()));
  std::string text_ = some_text(8);
};

TEST_F(JudgeAgainst, TheModelItselfDoesNotDiverge) {
  record(16);
  for (const char* name : {"base", "base.npy", "base.ids.npy", "base.logprobs.npy"}) {
    const TopPredictions base = must(read_top_predictions(folder_.file(name)));
    const JudgedText judged = must(judge_against(model_, text_, base));
    EXPECT_LT(judged.agreement.kl_divergence.value, 1e-6);
    EXPECT_EQ(judged.agreement.same_top.value, 1.0);
    EXPECT_EQ(judged.agreement.n_positions, base.n_tokens);
    EXPECT_EQ(judged.perplexity.n_tokens, base.n_tokens - 1);
  }
}

TEST_F(JudgeAgainst, MoreOfTheBaseShowsMoreOfTheDivergence) {
  QuantizeOptions quantize;
  quantize.input = tiny_chat_path();
  quantize.output = folder_.file("small.gguf");
  quantize.type = "Q4_0";
  must(quantize_model(quantize));
  const Model small = must(Model::open(quantize.output));
  double last = 0.0;
  for (const int64_t k : {1, 8, 64, 128}) {
    record(k);
    const TopPredictions base = must(read_top_predictions(folder_.file("base")));
    const double divergence = must(judge_against(small, text_, base)).agreement.kl_divergence.value;
    EXPECT_GT(divergence, last) << k;
    last = divergence;
  }
}

TEST_F(JudgeAgainst, AnotherTextOrVocabularyIsTold) {
  record(4);
  const TopPredictions base = must(read_top_predictions(folder_.file("base")));
  EXPECT_THAT(judge_against(model_, text_ + "more", base).error().message,
              HasSubstr("another text"));
  TopPredictions odd = base;
  odd.ids[3] = 100000;
  EXPECT_THAT(judge_against(model_, text_, odd).error().message, HasSubstr("100000"));
  EXPECT_EQ(read_top_predictions(folder_.file("none")).error().code, ErrorCode::kNotFound);
  const uint64_t shape[] = {2, 2};
  must(write_npy<float>(folder_.file("base.logprobs.npy"), shape, std::vector<float>(4, -1.0F)));
  EXPECT_EQ(read_top_predictions(folder_.file("base")).error().code, ErrorCode::kBadModel);
}

}  // namespace
}  // namespace llmrun
