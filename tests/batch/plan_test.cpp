// The order of rows: prefixes next to each other and counted once, long rows first.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "batch/plan.h"

namespace llmrun::batch {
namespace {

using Tokens = std::vector<TokenId>;

Tokens tokens(int64_t n, TokenId value) { return Tokens(static_cast<size_t>(n), value); }
Tokens joined(Tokens a, const Tokens& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

Plan plan_of(const std::vector<Tokens>& prompts, const std::vector<int64_t>& most = {}) {
  std::vector<PlanItem> items;
  for (size_t i = 0; i < prompts.size(); ++i)
    items.push_back({prompts[i], most.empty() ? 10 : most[i]});
  return make_plan(items);
}

TEST(BatchPlan, WhatRowsShareIsCountedOnceAndHasOneLeader) {
  const Tokens system = tokens(100, 1);
  const Plan plan = plan_of(
      {joined(system, {2, 3}), tokens(50, 9), joined(system, {4}), joined(system, {2, 3, 5})});
  EXPECT_EQ(plan.prompt_tokens, 102 + 50 + 101 + 103);
  EXPECT_EQ(plan.shared_tokens, 100 + 102);
  EXPECT_EQ(plan.most_answer_tokens, 40);
  int n_leaderless = 0;
  for (size_t place = 0; place < plan.order.size(); ++place) {
    if (!plan.order[place].leader) {
      ++n_leaderless;
    } else {
      EXPECT_LT(*plan.order[place].leader, place);
    }
  }
  EXPECT_EQ(n_leaderless, 2);
}

TEST(BatchPlan, TheLastTokenIsNeverShared) {
  const Plan plan = plan_of({tokens(80, 1), tokens(80, 1), tokens(80, 1)});
  EXPECT_EQ(plan.shared_tokens, 2 * 79);
  EXPECT_EQ(plan_of({tokens(kAlike, 1), tokens(kAlike, 1)}).shared_tokens, 0);
}

TEST(BatchPlan, LongRowsComeFirst) {
  const Plan plan = plan_of({tokens(5, 1), tokens(5, 2), tokens(5, 3)}, {10, 500, 100});
  ASSERT_EQ(plan.order.size(), 3U);
  EXPECT_EQ(plan.order[0].row, 1U);
  EXPECT_EQ(plan.order[1].row, 2U);
  EXPECT_EQ(plan.order[2].row, 0U);
  const Tokens system = tokens(100, 1);
  const Plan family =
      plan_of({joined(system, {1}), joined(system, {2}), joined(system, {3})}, {1, 2, 3});
  EXPECT_EQ(family.order[0].row, 2U);
  EXPECT_EQ(family.order[2].row, 0U);
}

TEST(BatchPlan, EveryRowStandsOnceAndTheSumsHold) {
  std::mt19937 random(7);
  for (int round = 0; round < 50; ++round) {
    std::vector<Tokens> prompts;
    const size_t n = 1 + random() % 40;
    for (size_t i = 0; i < n; ++i) {
      Tokens prompt =
          tokens(1 + static_cast<int64_t>(random() % 200), static_cast<TokenId>(random() % 3));
      for (size_t k = random() % 5; k > 0; --k)
        prompt.push_back(static_cast<TokenId>(random() % 3));
      prompts.push_back(std::move(prompt));
    }
    const Plan plan = plan_of(prompts);
    std::vector<size_t> rows;
    int64_t n_shared = 0;
    for (const PlacedRow& placed : plan.order) {
      rows.push_back(placed.row);
      n_shared += placed.shared_tokens;
      EXPECT_EQ(placed.leader.has_value(), placed.shared_tokens > 0);
      if (!placed.leader) continue;
      const Tokens& mine = prompts[placed.row];
      const Tokens& other = prompts[plan.order[*placed.leader].row];
      EXPECT_TRUE(std::equal(mine.begin(), mine.begin() + placed.shared_tokens, other.begin()));
    }
    std::sort(rows.begin(), rows.end());
    for (size_t i = 0; i < n; ++i) EXPECT_EQ(rows[i], i);
    EXPECT_EQ(plan.shared_tokens, n_shared);
  }
}

}  // namespace
}  // namespace llmrun::batch
