// Circles end an answer; what merely repeats does not.
#include "engine/loop_guard.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace llmrun::engine {
namespace {

// After how many tokens the guard speaks; 0: never.
size_t seen_after(const std::vector<TokenId>& answer) {
  LoopGuard guard;
  for (size_t n = 1; n <= answer.size(); ++n) {
    if (guard.push(std::span(answer).first(n))) return n;
  }
  return 0;
}

std::vector<TokenId> circle(size_t before, size_t period, size_t n) {
  std::vector<TokenId> tokens;
  for (size_t i = 0; i < before; ++i) tokens.push_back(static_cast<TokenId>(5000 + i));
  for (size_t i = 0; i < n; ++i) tokens.push_back(static_cast<TokenId>(i % period));
  return tokens;
}

TEST(LoopGuard, SeesCirclesOfEveryPeriod) {
  for (const size_t period : {1, 2, 3, 17, 100, 256}) {
    const size_t least = std::max(LoopGuard::kLeastTokens, LoopGuard::kLeastTimes * period);
    EXPECT_EQ(seen_after(circle(30, period, 3000)), 30 + least) << period;
    EXPECT_EQ(seen_after(circle(30, period, least - 1)), 0U) << period;
  }
  EXPECT_EQ(seen_after(circle(0, 257, 5000)), 0U);
}

TEST(LoopGuard, LetsTablesAndListsPass) {
  // Rows of a table: the frame repeats, the cells differ.
  std::vector<TokenId> table;
  std::mt19937 random(3);
  for (int row = 0; row < 400; ++row) {
    for (int column = 0; column < 4; ++column) {
      table.push_back(1);
      table.push_back(static_cast<TokenId>(10 + random() % 500));
    }
    table.push_back(2);
  }
  EXPECT_EQ(seen_after(table), 0U);
  EXPECT_EQ(seen_after(circle(0, 2, 200)), 0U);   // the rule below the heading of a wide table
  EXPECT_EQ(seen_after(circle(0, 60, 420)), 0U);  // a chorus, seven times
  // A list that counts: one token of each line differs.
  std::vector<TokenId> list;
  for (TokenId i = 0; i < 500; ++i) list.insert(list.end(), {1, 2, 100 + i, 3});
  EXPECT_EQ(seen_after(list), 0U);
}

}  // namespace
}  // namespace llmrun::engine
