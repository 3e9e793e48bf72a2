// The candidates in their three forms give what sorting the whole vocabulary gives.
#include "sampling/candidates.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

namespace llmrun::sampling {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
using Condition = Candidates::Condition;

struct Drawn {
  std::vector<float> logits;
  std::string what;
};

// Vocabularies of all sizes around a block's, with many ties, forbidden tokens, and two zeros.
std::vector<Drawn> all_kinds() {
  std::vector<Drawn> kinds;
  std::mt19937 random(5);
  std::normal_distribution<float> normal(0.0F, 4.0F);
  for (const size_t n : {1U, 15U, 127U, 128U, 129U, 1000U, 6000U, 30001U}) {
    Drawn wild{std::vector<float>(n), "wild " + std::to_string(n)};
    for (float& x : wild.logits) x = normal(random);
    Drawn ties = {wild.logits, "ties " + std::to_string(n)};
    for (float& x : ties.logits) x = std::round(x / 3.0F);
    Drawn few = {std::vector<float>(n, -kInfinity), "few " + std::to_string(n)};
    for (size_t i = 0; i < 5; ++i) few.logits[random() % n] = normal(random);
    Drawn flat = {std::vector<float>(n, 0.0F), "flat " + std::to_string(n)};
    flat.logits[n / 2] = -0.0F;
    for (Drawn* const each : {&wild, &ties, &few, &flat}) kinds.push_back(std::move(*each));
  }
  return kinds;
}

std::vector<Candidate> sorted(const std::vector<float>& logits) {
  std::vector<Candidate> all;
  for (size_t i = 0; i < logits.size(); ++i) all.push_back({static_cast<TokenId>(i), logits[i]});
  std::stable_sort(all.begin(), all.end(),
                   [](const Candidate& a, const Candidate& b) { return a.logit > b.logit; });
  return all;
}

void expect_equal(std::span<const Candidate> got, std::span<const Candidate> wanted) {
  ASSERT_EQ(got.size(), wanted.size());
  for (size_t i = 0; i < got.size(); ++i) {
    ASSERT_EQ(got[i].id, wanted[i].id) << "place " << i;
    ASSERT_EQ(got[i].logit, wanted[i].logit) << "place " << i;
  }
}

TEST(Candidates, TheBestOnesAreThoseOfAFullSort) {
  for (const auto& [logits, what] : all_kinds()) {
    const auto wanted = sorted(logits);
    Candidates candidates(logits.size());
    candidates.assign(logits);
    EXPECT_EQ(candidates.top().id, wanted[0].id) << what;
    for (const size_t k : {1U, 2U, 40U, 200U, 5000U, 40000U}) {
      SCOPED_TRACE(what + ", k = " + std::to_string(k));
      const auto best = std::span(wanted).first(std::min<size_t>(k, wanted.size()));
      candidates.assign(logits);
      candidates.keep_best(k);
      expect_equal(candidates.items(), best);
      EXPECT_EQ(candidates.best(), 0U);
      candidates.assign(logits);
      candidates.sort_first(k);
      EXPECT_EQ(candidates.size(), logits.size());
      expect_equal(candidates.items().first(best.size()), best);
    }
  }
}

TEST(Candidates, ALimitKeepsThoseAboveItInTheirOrder) {
  for (const auto& [logits, what] : all_kinds()) {
    for (const float limit : {-kInfinity, -1.0F, 0.0F, 2.0F, 100.0F}) {
      SCOPED_TRACE(what + ", limit = " + std::to_string(limit));
      std::vector<Candidate> wanted;
      for (size_t i = 0; i < logits.size(); ++i) {
        if (logits[i] >= limit) wanted.push_back({static_cast<TokenId>(i), logits[i]});
      }
      if (wanted.empty()) wanted.push_back(sorted(logits)[0]);
      Candidates candidates(logits.size());
      for (const bool from_list : {false, true}) {
        candidates.assign(logits);
        if (from_list) (void)candidates.items();
        candidates.keep_at_least(limit);
        expect_equal(candidates.items(), wanted);
      }
    }
  }
}

TEST(Candidates, AChangedLogitCountsAndTheModelsOwnStays) {
  for (const auto& [logits, what] : all_kinds()) {
    SCOPED_TRACE(what);
    auto changed = logits;
    Candidates candidates(logits.size());
    candidates.assign(logits);
    EXPECT_EQ(candidates.condition(), Condition::kGood);
    const auto worst = static_cast<TokenId>(logits.size() - 1);
    candidates.change(worst, changed.back() = 77.0F);
    candidates.change(0, changed.front() -= 1.0F);
    EXPECT_EQ(candidates.logit_of(0), changed.front());
    EXPECT_EQ(candidates.top().id, sorted(changed)[0].id);
    candidates.keep_best(3);
    auto wanted = sorted(changed);
    wanted.resize(std::min<size_t>(3, wanted.size()));
    expect_equal(candidates.items(), wanted);
    candidates.assign(logits);  // as if nothing had been
    EXPECT_EQ(candidates.top().id, sorted(logits)[0].id);
  }
}

TEST(Candidates, ConditionSeesOneBadValueAnywhere) {
  for (const size_t n : {1U, 16U, 17U, 128U, 300U}) {
    Candidates candidates(n);
    for (size_t at = 0; at < n; ++at) {
      for (const float bad : {std::nanf(""), -std::nanf(""), kInfinity}) {
        std::vector<float> logits(n, 1.0F);
        logits[at] = bad;
        candidates.assign(logits);
        ASSERT_EQ(candidates.condition(), Condition::kNoNumber) << n << " " << at;
      }
      std::vector<float> logits(n, -kInfinity);
      candidates.assign(logits);
      ASSERT_EQ(candidates.condition(), Condition::kNonePossible);
      logits[at] = -3.0F;
      candidates.assign(logits);
      ASSERT_EQ(candidates.condition(), Condition::kGood);
      ASSERT_EQ(candidates.top().id, static_cast<TokenId>(at));
    }
  }
}

}  // namespace
}  // namespace llmrun::sampling
