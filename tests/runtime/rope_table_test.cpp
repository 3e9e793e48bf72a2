// Angles and slopes against values worked out by hand from the papers.
#include "runtime/rope_table.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

namespace llmrun::runtime {
namespace {

Rope plain(int64_t n_dims) {
  Rope rope;
  rope.n_dims = n_dims;
  return rope;
}

TEST(RopeFrequencies, FallGeometrically) {
  const auto f = rope_frequencies(plain(8), {});
  ASSERT_EQ(f.size(), 4U);
  EXPECT_FLOAT_EQ(f[0], 1.0F);
  EXPECT_FLOAT_EQ(f[1], 0.1F);
  EXPECT_FLOAT_EQ(f[2], 0.01F);
  EXPECT_FLOAT_EQ(f[3], 0.001F);
}

TEST(RopeFrequencies, AreDividedByFactors) {
  Rope rope = plain(4);
  rope.scaling = RopeScaling::kLinear;
  rope.factor = 4.0;
  const std::array<float, 2> factors = {1.0F, 2.0F};
  const auto f = rope_frequencies(rope, factors);
  EXPECT_FLOAT_EQ(f[0], 0.25F);
  EXPECT_FLOAT_EQ(f[1], 0.01F / 8.0F);
}

// Pair 0 turns 4096 / 2 pi = 652 times in the original context, more than beta_fast: unchanged.
// The last pair turns less than once: divided by the factor.
TEST(RopeFrequencies, YarnKeepsFastPairsAndStretchesSlowOnes) {
  Rope rope = plain(64);
  rope.scaling = RopeScaling::kYarn;
  rope.factor = 8.0;
  rope.original_context = 4096;
  const auto with = rope_frequencies(rope, {});
  const auto without = rope_frequencies(plain(64), {});
  EXPECT_FLOAT_EQ(with.front(), without.front());
  EXPECT_FLOAT_EQ(with.back(), without.back() / 8.0F);
  for (size_t i = 0; i < with.size(); ++i) {
    EXPECT_LE(with[i], without[i]);
    EXPECT_GE(with[i], without[i] / 8.0F * 0.999F);
  }
}

TEST(RopeFrequencies, PairsOfTheFourthSectionStandStill) {
  Rope rope = plain(16);
  rope.section_kind = RopeSections::kCyclic;
  rope.sections = {2, 1, 1, 1};
  const auto f = rope_frequencies(rope, {});
  for (size_t i = 0; i < f.size(); ++i) EXPECT_EQ(f[i] == 0.0F, i % 5 == 4) << i;

  rope.section_kind = RopeSections::kInterleaved;
  rope.sections = {3, 2, 2, 1};  // 7 falls to 7 % 3 == 1, which has only pairs below 6
  const auto g = rope_frequencies(rope, {});
  for (size_t i = 0; i < g.size(); ++i) EXPECT_EQ(g[i] == 0.0F, i == 7) << i;
}

TEST(AlibiSlopes, ArePowersOfTwoAndInterpolateBetween) {
  const auto four = alibi_slopes(4, 8.0F);
  EXPECT_FLOAT_EQ(four[0], 0.25F);
  EXPECT_FLOAT_EQ(four[3], 1.0F / 256.0F);
  const auto six = alibi_slopes(6, 8.0F);
  EXPECT_FLOAT_EQ(six[0], 0.25F);
  EXPECT_FLOAT_EQ(six[4], 0.5F);
  EXPECT_FLOAT_EQ(six[5], 0.125F);
}

}  // namespace
}  // namespace llmrun::runtime
