// The chain as a whole: order, greedy, determinism, edge cases, the checks of the options.
#include "sampling/chain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "sampling/generator.h"

namespace llmrun::sampling {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

std::vector<float> wavy(int n) {
  std::vector<float> logits;
  for (int i = 0; i < n; ++i) logits.push_back(5.0F * std::sin(static_cast<float>(i) * 0.7F));
  return logits;
}

Chain make(const SamplingOptions& options, int64_t n_vocab) {
  auto chain = Chain::make(options, n_vocab);
  EXPECT_TRUE(chain) << chain.error().message;
  return std::move(*chain);
}

Result<TokenId> next(Chain& chain, std::span<const float> logits,
                     std::span<const TokenId> history) {
  Workspace memory(static_cast<int64_t>(logits.size()));
  return chain.next(logits, history, memory);
}

TEST(Chain, RunsTheStagesInTheDocumentedOrder) {
  SamplingOptions options;
  options.logit_bias = {{1, 1.0F}};
  options.repeat_penalty = 1.1F;
  options.dry_multiplier = 0.5F;
  options.top_n_sigma = 2.0F;
  options.typical_p = 0.9F;
  options.min_p = 0.05F;
  options.xtc_probability = 0.1F;
  EXPECT_THAT(make(options, 10).stages(),
              ElementsAre("logit_bias", "penalties", "dry", "top_n_sigma", "top_k", "typical",
                          "top_p", "min_p", "xtc", "temperature", "draw"));
  options.mirostat = 2;
  EXPECT_THAT(make(options, 10).stages(),
              ElementsAre("logit_bias", "penalties", "dry", "temperature", "mirostat2"));
  options.temperature = 0.0F;
  EXPECT_THAT(make(options, 10).stages(), ElementsAre("logit_bias", "penalties", "dry"));
}

TEST(Chain, DefaultsAreTopKTopPTemperature) {
  EXPECT_THAT(make({}, 10).stages(), ElementsAre("top_k", "top_p", "temperature", "draw"));
}

TEST(Chain, GreedyTakesTheLowestIdOnATie) {
  SamplingOptions options;
  options.temperature = 0.0F;
  auto chain = make(options, 5);
  EXPECT_EQ(next(chain, std::vector<float>{1.0F, 3.0F, 2.0F, 3.0F, 0.0F}, {}).value(), 1);
}

TEST(Chain, SameSeedSameTokens) {
  SamplingOptions options;
  options.seed = 99;
  options.xtc_probability = 0.5F;
  options.mirostat = 0;
  const auto logits = wavy(1000);
  auto a = make(options, 1000);
  auto b = make(options, 1000);
  options.seed = 100;
  auto c = make(options, 1000);
  int differing = 0;
  for (int i = 0; i < 200; ++i) {
    const TokenId token = next(a, logits, {}).value();
    ASSERT_EQ(token, next(b, logits, {}).value());
    differing += token != next(c, logits, {}).value();
  }
  EXPECT_GT(differing, 50);
}

TEST(Chain, SeedsArePortable) {
  // Written down once: the numbers must not change between versions or machines.
  SamplingOptions options;
  options.seed = 1234;
  options.temperature = 1.0F;
  options.top_k = 0;
  options.top_p = 1.0F;
  auto chain = make(options, 1000);
  const std::vector<float> flat(1000, 0.5F);
  std::vector<TokenId> tokens;
  for (uint64_t i = 0; i < 6; ++i) {
    const TokenId token = next(chain, flat, {}).value();
    EXPECT_EQ(token, static_cast<TokenId>(uniform(1234, i, Purpose::kDraw) * 1000));
    tokens.push_back(token);
  }
  EXPECT_THAT(tokens, ElementsAre(853, 112, 984, 139, 918, 200));
}

TEST(Chain, TellsTheRandomSeed) {
  auto a = make({}, 10);
  auto b = make({}, 10);
  EXPECT_NE(a.seed(), b.seed());
  EXPECT_LT(a.seed(), uint64_t{1} << 53);
  SamplingOptions options;
  options.seed = ~uint64_t{0};
  EXPECT_EQ(make(options, 10).seed(), ~uint64_t{0});
}

TEST(Chain, AllImpossibleButOne) {
  std::vector<float> logits(1000, -kInfinity);
  logits[321] = -7.0F;
  SamplingOptions options;
  options.dynamic_temperature = 0.3F;
  options.typical_p = 0.5F;
  options.top_n_sigma = 1.0F;
  options.min_p = 0.1F;
  options.xtc_probability = 1.0F;
  auto chain = make(options, 1000);
  for (int i = 0; i < 20; ++i) ASSERT_EQ(next(chain, logits, {}).value(), 321);
  options.mirostat = 2;
  auto mirostat = make(options, 1000);
  for (int i = 0; i < 20; ++i) ASSERT_EQ(next(mirostat, logits, {}).value(), 321);
}

TEST(Chain, HugeLogitsStayNumbers) {
  const float huge = std::numeric_limits<float>::max();
  SamplingOptions options;
  options.temperature = 0.01F;
  options.repeat_penalty = 0.5F;  // doubles the positive ones: overflows are told, not drawn from
  auto chain = make(options, 3);
  EXPECT_EQ(next(chain, std::vector<float>{-huge, huge, 0.0F}, {}).value(), 1);
  const auto overflow = next(chain, std::vector<float>{-huge, huge, 0.0F}, std::vector<TokenId>{1});
  ASSERT_FALSE(overflow);
  EXPECT_EQ(overflow.error().code, ErrorCode::kBadModel);
}

TEST(Chain, LogitsThatAreNoNumbersAreAnError) {
  for (const float bad : {kNan, -kNan, kInfinity}) {
    for (const float temperature : {0.0F, 0.8F}) {
      SamplingOptions options;
      options.temperature = temperature;
      auto chain = make(options, 3);
      const auto token = next(chain, std::vector<float>{0.0F, 1.0F, bad}, {});
      ASSERT_FALSE(token);
      EXPECT_EQ(token.error().code, ErrorCode::kBadModel);
      EXPECT_THAT(token.error().message, HasSubstr("token 2"));
    }
  }
}

TEST(Chain, NoPossibleTokenIsAnError) {
  SamplingOptions options;
  options.logit_bias = {{0, -kInfinity}, {1, -kInfinity}};
  auto chain = make(options, 2);
  const auto token = next(chain, std::vector<float>{0.0F, 1.0F}, {});
  ASSERT_FALSE(token);
  EXPECT_EQ(token.error().code, ErrorCode::kUsage);
  EXPECT_THAT(token.error().message, HasSubstr("logit_bias"));
}

TEST(Chain, WrongNumberOfLogitsIsAnError) {
  auto chain = make({}, 4);
  Workspace memory(4);
  EXPECT_FALSE(chain.next(std::vector<float>(3, 0.0F), {}, memory));
}

TEST(Chain, ChainsThatShareMemoryDoNotMeet) {
  SamplingOptions options;
  options.seed = 3;
  options.penalty_window = -1;
  options.presence_penalty = 0.5F;
  options.dry_multiplier = 0.4F;
  SamplingOptions greedy;
  greedy.temperature = 0.0F;
  const auto logits = wavy(1000);
  auto shared = make(options, 1000);
  auto alone = make(options, 1000);
  auto other = make(greedy, 1000);
  Workspace memory(1000);
  std::vector<TokenId> history = {1, 2, 3};
  for (int i = 0; i < 50; ++i) {
    const TokenId token = shared.next(logits, history, memory).value();
    ASSERT_EQ(token, next(alone, logits, history).value());
    ASSERT_EQ(other.next(logits, history, memory).value(),
              std::max_element(logits.begin(), logits.end()) - logits.begin());
    history.push_back(token);
  }
}

TEST(Chain, HistoryOutsideTheVocabularyIsIgnored) {
  SamplingOptions options;
  options.temperature = 0.0F;
  options.repeat_penalty = 1.5F;
  options.dry_multiplier = 1.0F;
  auto chain = make(options, 2);
  const std::vector<TokenId> history = {-5, 100, -5, 100, -5};
  EXPECT_EQ(next(chain, std::vector<float>{0.0F, 1.0F}, history).value(), 1);
}

TEST(Validate, NamesOptionValueAndRange) {
  SamplingOptions options;
  options.top_p = 1.5F;
  auto error = validate(options).error();
  EXPECT_EQ(error.code, ErrorCode::kUsage);
  EXPECT_THAT(error.message, HasSubstr("top_p is 1.5"));
  EXPECT_THAT(error.message, HasSubstr("between 0 and 1"));
  options = {};
  options.temperature = kNan;
  EXPECT_THAT(validate(options).error().message, HasSubstr("temperature"));
  options = {};
  options.temperature = -1.0F;
  EXPECT_FALSE(validate(options));
  options = {};
  options.top_k = -1;
  EXPECT_THAT(validate(options).error().message, HasSubstr("top_k is -1"));
  options = {};
  options.mirostat = 1;
  EXPECT_THAT(validate(options).error().message, HasSubstr("mirostat is 1"));
  options = {};
  options.logit_bias = {{3, kNan}};
  EXPECT_FALSE(validate(options));
  options.logit_bias = {{-3, 1.0F}};
  EXPECT_FALSE(validate(options));
  options.logit_bias = {{3, -kInfinity}};
  EXPECT_TRUE(validate(options));
  EXPECT_FALSE(Chain::make(options, 3)) << "token 3 lies behind the vocabulary";
  EXPECT_TRUE(validate({}));
}

// ---- some of the logits ------------------------------------------------------------------------

// What a device that is asked for `needs` gives: the best tokens, then the named ones.
std::vector<TokenId> found(const std::vector<float>& logits, const Needs& needs) {
  std::vector<TokenId> ids(logits.size());
  std::iota(ids.begin(), ids.end(), 0);
  const auto at = [&](TokenId id) { return logits[static_cast<size_t>(id)]; };
  std::stable_sort(ids.begin(), ids.end(), [&](TokenId a, TokenId b) {
    const bool a_bad = !(at(a) < kInfinity);
    const bool b_bad = !(at(b) < kInfinity);
    return a_bad != b_bad ? a_bad : !a_bad && at(a) > at(b);
  });
  ids.resize(std::min(ids.size(), needs.n_best));
  ids.insert(ids.end(), needs.named.begin(), needs.named.end());
  return ids;
}

Result<TokenId> next_of_found(Chain& chain, const std::vector<float>& logits,
                              std::span<const TokenId> history) {
  const Needs needs = chain.needs(history);
  EXPECT_GT(needs.n_best, 0U);
  const auto ids = found(logits, needs);
  std::vector<float> values;
  for (const TokenId id : ids) values.push_back(logits[static_cast<size_t>(id)]);
  Workspace memory(static_cast<int64_t>(logits.size()));
  return chain.next(ids, values, history, memory);
}

std::vector<SamplingOptions> options_of_some() {
  std::vector<SamplingOptions> all(1);
  const auto add = [&](auto change) {
    SamplingOptions options;
    change(options);
    all.push_back(options);
  };
  add([](auto& o) { o.temperature = 0.0F; });
  add([](auto& o) { o.temperature = 0.0F, o.repeat_penalty = 1.8F; });
  add([](auto& o) { o.temperature = 0.0F, o.dry_multiplier = 4.0F, o.dry_allowed_length = 1; });
  add([](auto& o) { o.top_k = 3, o.top_p = 1.0F, o.repeat_penalty = 1.5F; });
  add([](auto& o) { o.frequency_penalty = 0.9F, o.presence_penalty = 2.0F, o.min_p = 0.2F; });
  add([](auto& o) { o.temperature = 1.7F, o.dynamic_temperature = 0.5F, o.typical_p = 0.8F; });
  add([](auto& o) { o.xtc_probability = 0.5F, o.xtc_threshold = 0.05F, o.dry_multiplier = 1.0F; });
  add([](auto& o) {
    o.logit_bias = {{3, -kInfinity}, {7, 9.0F}, {8, -20.0F}};
    o.repeat_penalty = 1.2F;
    o.top_k = 5;
  });
  for (SamplingOptions& options : all) options.seed = 77;
  return all;
}

TEST(ChainOfSome, DrawsTheTokensThatItDrawsFromAllLogits) {
  constexpr int kVocab = 300;
  int index = 0;
  for (const SamplingOptions& options : options_of_some()) {
    auto all = make(options, kVocab);
    auto some = make(options, kVocab);
    std::vector<TokenId> history = {1, 2, 3};
    for (int step = 0; step < 200; ++step) {
      std::vector<float> logits;
      for (int i = 0; i < kVocab; ++i) {  // in steps, so that many are equal
        const double u =
            uniform(static_cast<uint64_t>(step), static_cast<uint64_t>(i), Purpose::kDraw);
        logits.push_back(static_cast<float>(std::floor(u * 40.0)) / 4.0F - 3.0F);
      }
      if (step % 3 == 0) logits[static_cast<size_t>(step)] = -kInfinity;
      const auto want = next(all, logits, history);
      const auto got = next_of_found(some, logits, history);
      ASSERT_TRUE(want && got) << index;
      ASSERT_EQ(*got, *want) << "options " << index << ", step " << step;
      history.push_back(step % 2 == 0 ? *want : history[static_cast<size_t>(step / 2)]);
    }
    ++index;
  }
}

TEST(ChainOfSome, RefusesWhatItRefusesFromAllLogits) {
  SamplingOptions options;
  options.logit_bias = {{0, -kInfinity}, {1, -kInfinity}, {2, -kInfinity}};
  auto chain = make(options, 3);
  const std::vector<TokenId> history = {2};
  for (const auto& logits :
       {std::vector<float>{1.0F, kNan, kInfinity}, {1.0F, kInfinity, kNan}, {1.0F, 2.0F, 3.0F}}) {
    const auto want = next(chain, logits, history);
    const auto got = next_of_found(chain, logits, history);
    ASSERT_FALSE(want || got);
    EXPECT_EQ(got.error().message, want.error().message);
  }
}

TEST(ChainOfSome, NeedsAllLogitsWhereAStageLooksAtAll) {
  const std::vector<TokenId> history(3000, 5);
  const auto n_best = [&](auto change) {
    SamplingOptions options;
    change(options);
    return make(options, 1000).needs(history).n_best;
  };
  EXPECT_EQ(n_best([](auto&) {}), 40U);
  EXPECT_EQ(n_best([](auto& o) { o.repeat_penalty = 1.1F; }), 41U) << "one token, 64 times";
  EXPECT_EQ(n_best([](auto& o) { o.temperature = 0.0F; }), 1U);
  EXPECT_EQ(n_best([](auto& o) { o.top_k = 0; }), 0U);
  EXPECT_EQ(n_best([](auto& o) { o.top_k = 0, o.temperature = 0.0F; }), 1U);
  EXPECT_EQ(n_best([](auto& o) { o.top_n_sigma = 1.0F; }), 0U);
  EXPECT_EQ(n_best([](auto& o) { o.mirostat = 2; }), 0U);
  EXPECT_EQ(n_best([](auto& o) { o.repeat_penalty = 1.1F, o.penalty_window = -1; }), 0U);
}

}  // namespace
}  // namespace llmrun::sampling
