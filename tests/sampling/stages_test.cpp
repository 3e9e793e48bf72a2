// Each stage of the chain against its formula, written here as plainly as possible.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <random>
#include <set>

#include "sampling/chain.h"
#include "sampling/generator.h"

namespace llmrun::sampling {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Everything off: the softmax of the logits themselves.
SamplingOptions plain() {
  SamplingOptions options;
  options.temperature = 1.0F;
  options.top_k = 0;
  options.top_p = 1.0F;
  options.seed = 7;
  return options;
}

std::vector<float> random_logits(int n, uint32_t seed, float scale = 3.0F) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal(0.0F, scale);
  std::vector<float> logits(static_cast<size_t>(n));
  for (float& x : logits) x = normal(generator);
  return logits;
}

std::vector<double> softmax(const std::vector<float>& logits) {
  const double top = *std::max_element(logits.begin(), logits.end());
  std::vector<double> p;
  double sum = 0;
  for (const float x : logits) sum += p.emplace_back(std::exp(x - top));
  for (double& x : p) x /= sum;
  return p;
}

// Ids by falling probability, lower ids first on a tie.
std::vector<int> ranking(const std::vector<float>& logits) {
  std::vector<int> ids(logits.size());
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int>(i);
  std::stable_sort(ids.begin(), ids.end(), [&](int a, int b) {
    return logits[static_cast<size_t>(a)] > logits[static_cast<size_t>(b)];
  });
  return ids;
}

// Which tokens ever come, and how often.
std::map<int, int> histogram(const SamplingOptions& options, const std::vector<float>& logits,
                             int n_draws, const std::vector<TokenId>& history = {},
                             const TokenText& text = {}) {
  auto chain = Chain::make(options, static_cast<int64_t>(logits.size()), text);
  EXPECT_TRUE(chain) << chain.error().message;
  Workspace memory(static_cast<int64_t>(logits.size()));
  std::map<int, int> counts;
  for (int i = 0; i < n_draws; ++i) {
    const auto token = chain->next(logits, history, memory);
    EXPECT_TRUE(token) << token.error().message;
    ++counts[*token];
  }
  return counts;
}

// Chi-squared test of the draws against the probabilities of the tokens that may come.
void expect_distribution(const std::map<int, int>& counts, const std::map<int, double>& wanted,
                         int n_draws) {
  for (const auto& [id, count] : counts) {
    EXPECT_TRUE(wanted.count(id)) << "token " << id << " was drawn and must not be";
  }
  double sum = 0;
  for (const auto& [id, p] : wanted) sum += p;
  double chi_squared = 0;
  int freedom = -1;
  double rest_wanted = 0;
  double rest_seen = 0;
  for (const auto& [id, p] : wanted) {
    const double expected = p / sum * n_draws;
    const auto found = counts.find(id);
    const double seen = found == counts.end() ? 0 : found->second;
    if (expected < 5) {  // pooled, as the test demands
      rest_wanted += expected;
      rest_seen += seen;
      continue;
    }
    chi_squared += (seen - expected) * (seen - expected) / expected;
    ++freedom;
  }
  if (rest_wanted > 1) {
    chi_squared += (rest_seen - rest_wanted) * (rest_seen - rest_wanted) / rest_wanted;
    ++freedom;
  }
  // Five standard deviations of the chi-squared distribution; seeds are fixed, so this is stable.
  EXPECT_LT(chi_squared, freedom + 5 * std::sqrt(2.0 * std::max(freedom, 1)));
}

constexpr int kDraws = 20000;

std::map<int, double> keep(const std::vector<double>& p, const std::set<int>& ids) {
  std::map<int, double> kept;
  for (const int id : ids) kept[id] = p[static_cast<size_t>(id)];
  return kept;
}

TEST(Philox, AnswersTheKnownVectors) {
  // Known answers of the authors' distribution (Random123, kat_vectors).
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, {0, 0}),
            (std::array<uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox4x32({~0U, ~0U, ~0U, ~0U}, {~0U, ~0U}),
            (std::array<uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (std::array<uint32_t, 4>{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, UniformIsUniformAndItsStreamsDiffer) {
  double sum = 0;
  for (uint64_t i = 0; i < 10000; ++i) {
    const double u = uniform(42, i, Purpose::kDraw);
    ASSERT_GE(u, 0.0);
    ASSERT_LT(u, 1.0);
    sum += u;
    ASSERT_NE(u, uniform(42, i, Purpose::kXtc));
    ASSERT_NE(u, uniform(43, i, Purpose::kDraw));
  }
  EXPECT_NEAR(sum / 10000, 0.5, 0.015);
}

TEST(Draw, FollowsTheSoftmax) {
  const auto logits = random_logits(40, 1);
  std::set<int> all;
  for (int i = 0; i < 40; ++i) all.insert(i);
  expect_distribution(histogram(plain(), logits, kDraws), keep(softmax(logits), all), kDraws);
}

TEST(Temperature, DividesTheLogits) {
  auto logits = random_logits(40, 2);
  auto options = plain();
  options.temperature = 0.5F;
  const auto counts = histogram(options, logits, kDraws);
  for (float& x : logits) x /= 0.5F;
  std::set<int> all;
  for (int i = 0; i < 40; ++i) all.insert(i);
  expect_distribution(counts, keep(softmax(logits), all), kDraws);
}

TEST(Temperature, DynamicRangeFollowsTheEntropy) {
  auto logits = random_logits(40, 3, 1.5F);
  auto options = plain();
  options.temperature = 1.0F;
  options.dynamic_temperature = 0.6F;
  options.dynamic_temperature_exponent = 1.5F;
  const auto counts = histogram(options, logits, kDraws);
  double entropy = 0;
  for (const double p : softmax(logits)) entropy -= p * std::log(p);
  const double t = 0.4 + 1.2 * std::pow(entropy / std::log(40.0), 1.5);
  for (float& x : logits) x = static_cast<float>(x / t);
  std::set<int> all;
  for (int i = 0; i < 40; ++i) all.insert(i);
  expect_distribution(counts, keep(softmax(logits), all), kDraws);
}

TEST(Temperature, DynamicRangeDownToZeroStaysFinite) {
  auto options = plain();
  options.temperature = 0.5F;
  options.dynamic_temperature = 0.5F;
  // One token has all the probability: the entropy is 0 and so is the temperature.
  const std::vector<float> logits = {1000.0F, 0.0F, -5.0F};
  EXPECT_EQ(histogram(options, logits, 50), (std::map<int, int>{{0, 50}}));
}

TEST(TopK, KeepsTheKBest) {
  const auto logits = random_logits(100, 4);
  const auto ranked = ranking(logits);
  auto options = plain();
  options.top_k = 7;
  expect_distribution(histogram(options, logits, kDraws),
                      keep(softmax(logits), {ranked.begin(), ranked.begin() + 7}), kDraws);
}

TEST(TopK, MoreThanTheVocabularyKeepsAll) {
  const auto logits = random_logits(10, 5, 0.5F);
  auto options = plain();
  options.top_k = 1000;
  EXPECT_EQ(histogram(options, logits, 5000).size(), 10U);
}

TEST(TopK, TiesGoToTheLowerId) {
  auto options = plain();
  options.top_k = 2;
  const auto counts = histogram(options, {1.0F, 2.0F, 2.0F, 2.0F}, 500);
  EXPECT_EQ(counts.size(), 2U);
  EXPECT_TRUE(counts.count(1));
  EXPECT_TRUE(counts.count(2));
}

TEST(TopP, KeepsTheNucleus) {
  for (const float p : {0.0F, 0.3F, 0.8F, 0.99F}) {
    const auto logits = random_logits(500, 6, 1.0F);  // a nucleus larger than the first sort
    const auto probability = softmax(logits);
    std::set<int> nucleus;
    double mass = 0;
    for (const int id : ranking(logits)) {
      nucleus.insert(id);
      mass += probability[static_cast<size_t>(id)];
      if (mass >= p) break;
    }
    auto options = plain();
    options.top_p = p;
    expect_distribution(histogram(options, logits, kDraws), keep(probability, nucleus), kDraws);
  }
}

TEST(MinP, KeepsWhatIsProbableEnough) {
  const auto logits = random_logits(100, 8, 1.0F);
  const auto probability = softmax(logits);
  const double best = *std::max_element(probability.begin(), probability.end());
  std::set<int> kept;
  for (int i = 0; i < 100; ++i) {
    if (probability[static_cast<size_t>(i)] >= 0.2 * best) kept.insert(i);
  }
  ASSERT_GT(kept.size(), 3U);
  auto options = plain();
  options.min_p = 0.2F;
  expect_distribution(histogram(options, logits, kDraws), keep(probability, kept), kDraws);
}

TEST(MinP, OneKeepsTheBest) {
  auto options = plain();
  options.min_p = 1.0F;
  EXPECT_EQ(histogram(options, {0.0F, 3.0F, 1.0F}, 100), (std::map<int, int>{{1, 100}}));
}

TEST(TopNSigma, KeepsWhatIsNearTheBest) {
  auto logits = random_logits(200, 19, 2.0F);
  logits[17] = -kInfinity;  // no part of mean and deviation
  double sum = 0;
  double squares = 0;
  for (const float x : logits) sum += std::isinf(x) ? 0 : x;
  const double mean = sum / 199;
  for (const float x : logits) squares += std::isinf(x) ? 0 : (x - mean) * (x - mean);
  const double limit =
      *std::max_element(logits.begin(), logits.end()) - 1.5 * std::sqrt(squares / 199);
  std::set<int> kept;
  for (int i = 0; i < 200; ++i) {
    if (logits[static_cast<size_t>(i)] >= limit) kept.insert(i);
  }
  ASSERT_GT(kept.size(), 1U);
  auto options = plain();
  options.top_n_sigma = 1.5F;
  expect_distribution(histogram(options, logits, kDraws), keep(softmax(logits), kept), kDraws);
}

TEST(Typical, KeepsWhatIsAsSurprisingAsExpected) {
  for (const float p : {0.0F, 0.2F, 0.7F, 0.95F}) {
    const auto logits = random_logits(100, 10, 2.0F);
    const auto probability = softmax(logits);
    double entropy = 0;
    for (const double q : probability) entropy -= q * std::log(q);
    std::vector<std::pair<double, int>> distance;
    for (int i = 0; i < 100; ++i) {
      distance.emplace_back(std::abs(-std::log(probability[static_cast<size_t>(i)]) - entropy), i);
    }
    std::sort(distance.begin(), distance.end());
    std::set<int> kept;
    double mass = 0;
    for (const auto& [d, id] : distance) {
      kept.insert(id);
      mass += probability[static_cast<size_t>(id)];
      if (mass >= p) break;
    }
    auto options = plain();
    options.typical_p = p;
    expect_distribution(histogram(options, logits, kDraws), keep(probability, kept), kDraws);
  }
}

TEST(Xtc, RemovesTheTopChoicesSoOften) {
  const std::vector<float> logits = {3.0F, 2.9F, 2.8F, 0.0F, -1.0F};
  const auto probability = softmax(logits);
  ASSERT_GT(probability[2], 0.2);
  ASSERT_LT(probability[3], 0.2);
  auto options = plain();
  options.xtc_threshold = 0.2F;
  options.xtc_probability = 1.0F;
  // Always: of the three above the threshold only the least probable stays.
  expect_distribution(histogram(options, logits, kDraws), keep(probability, {2, 3, 4}), kDraws);
  // In 40 % of the draws: a mixture of the two distributions.
  options.xtc_probability = 0.4F;
  const double rest = probability[2] + probability[3] + probability[4];
  std::map<int, double> wanted;
  for (int i = 0; i < 5; ++i) {
    const double p = probability[static_cast<size_t>(i)];
    wanted[i] = 0.6 * p + (i >= 2 ? 0.4 * p / rest : 0);
  }
  expect_distribution(histogram(options, logits, kDraws), wanted, kDraws);
}

TEST(Xtc, OneTopChoiceStays) {
  auto options = plain();
  options.xtc_threshold = 0.5F;
  options.xtc_probability = 1.0F;
  EXPECT_GT(histogram(options, {5.0F, 1.0F, 1.0F}, 1000)[0], 900);
}

TEST(LogitBias, IsAddedAndForbids) {
  auto options = plain();
  options.logit_bias = {{0, 2.0F}, {1, -kInfinity}};
  const std::vector<float> logits = {0.0F, 9.0F, 1.0F};
  expect_distribution(histogram(options, logits, kDraws),
                      keep(softmax({2.0F, -1e9F, 1.0F}), {0, 2}), kDraws);
}

TEST(Penalties, FollowTheFormulas) {
  auto options = plain();
  options.repeat_penalty = 1.5F;
  options.frequency_penalty = 0.25F;
  options.presence_penalty = 0.5F;
  options.penalty_window = 4;
  const std::vector<float> logits = {2.0F, -1.0F, 1.0F, 0.5F};
  // Token 3 lies outside the window; token 0 comes twice in it, 1 and 2 once.
  const std::vector<TokenId> history = {3, 0, 1, 0, 2};
  const std::vector<float> wanted = {2.0F / 1.5F - 2 * 0.25F - 0.5F, -1.0F * 1.5F - 0.25F - 0.5F,
                                     1.0F / 1.5F - 0.25F - 0.5F, 0.5F};
  expect_distribution(histogram(options, logits, kDraws, history),
                      keep(softmax(wanted), {0, 1, 2, 3}), kDraws);
}

TEST(Penalties, WindowOfAllAndOfNothing) {
  auto options = plain();
  options.temperature = 0.0F;
  options.presence_penalty = 10.0F;
  options.penalty_window = -1;
  std::vector<TokenId> history(1000, 1);
  history[0] = 0;
  EXPECT_EQ(histogram(options, {3.0F, 2.0F, 1.0F}, 1, history), (std::map<int, int>{{2, 1}}));
  options.penalty_window = 0;
  EXPECT_EQ(histogram(options, {3.0F, 2.0F, 1.0F}, 1, history), (std::map<int, int>{{0, 1}}));
}

TEST(Penalties, HoldForGreedyToo) {
  auto options = plain();
  options.temperature = 0.0F;
  options.repeat_penalty = 2.0F;
  EXPECT_EQ(histogram(options, {3.0F, 2.0F}, 1, {0}), (std::map<int, int>{{1, 1}}));
}

// The longest match that token `next` would continue, by looking at every position.
int brute_force_match(const std::vector<TokenId>& h, TokenId next, int limit) {
  int longest = 0;
  const int n = static_cast<int>(h.size());
  for (int i = 0; i + 1 < n; ++i) {
    if (h[static_cast<size_t>(i + 1)] != next) continue;
    int length = 0;
    while (length < limit && i - length >= 0 &&
           h[static_cast<size_t>(i - length)] == h[static_cast<size_t>(n - 1 - length)]) {
      ++length;
    }
    longest = std::max(longest, length);
  }
  return longest;
}

TEST(Dry, PenalisesByTheLengthOfTheRepetition) {
  std::mt19937 generator(11);
  for (int round = 0; round < 200; ++round) {
    std::vector<TokenId> history(60);
    for (TokenId& id : history) id = static_cast<TokenId>(generator() % 3);
    auto options = plain();
    options.temperature = 0.0F;
    options.dry_multiplier = 0.8F;
    options.dry_allowed_length = 2;
    const std::vector<float> logits = {0.3F, 0.2F, 0.1F, -20.0F};
    std::vector<float> wanted = logits;
    for (TokenId id = 0; id < 3; ++id) {
      const int length = brute_force_match(history, id, 1000);
      if (length >= 2) {
        wanted[static_cast<size_t>(id)] -= static_cast<float>(0.8 * std::pow(1.75, length - 2));
      }
    }
    const int best = ranking(wanted)[0];
    ASSERT_EQ(histogram(options, logits, 1, history), (std::map<int, int>{{best, 1}}));
  }
}

TEST(Dry, StopsAtABreakerEvenWhenItSpansTokens) {
  // "a b c" stood before; now "a b" stands at the end: "c" would repeat it.
  const std::vector<TokenId> history = {0, 1, 2, 3, 0, 1};
  const TokenText text = [](TokenId id) {
    return std::string(std::vector<std::string>{"a", "b", "c", "d"}[static_cast<size_t>(id)]);
  };
  auto options = plain();
  options.temperature = 0.0F;
  options.dry_multiplier = 5.0F;
  options.dry_breakers = {"x"};
  const std::vector<float> logits = {0.0F, 0.0F, 1.0F, 0.5F};
  EXPECT_EQ(histogram(options, logits, 1, history, text), (std::map<int, int>{{3, 1}}));
  options.dry_breakers = {"b"};  // the match cannot even begin
  EXPECT_EQ(histogram(options, logits, 1, history, text), (std::map<int, int>{{2, 1}}));
  options.dry_breakers = {"a"};  // one token of match is left: below the allowed length
  EXPECT_EQ(histogram(options, logits, 1, history, text), (std::map<int, int>{{2, 1}}));
  options.dry_breakers = {"ab"};  // lies in two tokens
  EXPECT_EQ(histogram(options, logits, 1, history, text), (std::map<int, int>{{2, 1}}));
  options.dry_breakers = {"da"};  // lies before the match's second token
  EXPECT_EQ(histogram(options, logits, 1, history, text), (std::map<int, int>{{2, 1}}));
}

TEST(Mirostat2, KeepsTheSurpriseAtTau) {
  const auto logits = random_logits(2000, 12, 1.5F);
  auto options = plain();
  options.mirostat = 2;
  options.mirostat_tau = 4.0F;
  options.mirostat_eta = 0.05F;
  options.top_k = 1;  // must have no effect
  auto chain = Chain::make(options, 2000);
  ASSERT_TRUE(chain);
  // The observed surprise is relative to what is kept, so mu settles where that entropy is tau:
  // follow the recurrence here and compare the tokens.
  const auto probability = softmax(logits);
  Workspace memory(static_cast<int64_t>(logits.size()));
  double mu = 2 * 4.0;
  double mean = 0;
  for (uint64_t step = 0; step < 2000; ++step) {
    double mass = 0;
    for (const double p : probability) {
      if (-std::log2(p) <= mu) mass += p;
    }
    const double u = uniform(7, step, Purpose::kDraw) * mass;
    double sum = 0;
    int wanted = -1;
    for (int i = 0; i < 2000 && wanted < 0; ++i) {
      const double p = probability[static_cast<size_t>(i)];
      if (-std::log2(p) > mu) continue;
      sum += p;
      if (u < sum) wanted = i;
    }
    ASSERT_GE(wanted, 0);
    const auto token = chain->next(logits, {}, memory);
    ASSERT_TRUE(token);
    ASSERT_EQ(*token, wanted) << "step " << step;
    const double surprise = -std::log2(probability[static_cast<size_t>(wanted)] / mass);
    mean += surprise;
    mu -= 0.05 * (surprise - 4.0);
  }
  EXPECT_NEAR(mean / 2000, 4.0, 0.2);
}

}  // namespace
}  // namespace llmrun::sampling
