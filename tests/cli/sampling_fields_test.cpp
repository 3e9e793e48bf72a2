// The table of sampling options covers the whole struct and checks ranges.
#include "cli/sampling_fields.h"

#include <gtest/gtest.h>

#include <set>

namespace llmrun::cli {
namespace {

TEST(SamplingFields, WhatIsPrintedCanBeRead) {
  SamplingOptions options;
  options.logit_bias = {{5, -1.5F}, {9, 2.0F}};
  options.seed = 42;
  for (const SamplingField& field : sampling_fields()) {
    SamplingOptions copy = options;
    const std::string text = field.get(options);
    ASSERT_TRUE(field.set(copy, text)) << field.name << " = " << text;
    EXPECT_EQ(field.get(copy), text) << field.name;
  }
}

// Each row changes what its name says: set every number to a value that no other row gives.
TEST(SamplingFields, EveryRowHasItsOwnMember) {
  for (const SamplingField& field : sampling_fields()) {
    const std::string value = field.name == "mirostat"       ? "2"
                              : field.name == "dry-breakers" ? "[\"x\"]"
                              : field.name == "logit-bias"   ? "3=1"
                              : field.value == "X"           ? "0.125"
                                                             : "7";
    const std::string allowed = field.name == "dry-base" ? "3.5" : value;
    SamplingOptions options;
    ASSERT_TRUE(field.set(options, allowed)) << field.name;
    int changed = 0;
    for (const SamplingField& other : sampling_fields()) {
      if (other.get(options) != other.get(SamplingOptions{})) {
        ++changed;
        EXPECT_EQ(other.name, field.name);
      }
    }
    EXPECT_EQ(changed, 1) << field.name;
  }
}

TEST(SamplingFields, CoversEveryMember) {
  // Grows with the struct: a new member without a row makes this fail at compile time.
  const auto& [temperature, dynamic_temperature, exponent, top_k, top_p, min_p, typical_p,
               top_n_sigma, xtc_probability, xtc_threshold, repeat, frequency, presence, window,
               dry_multiplier, dry_base, dry_allowed, dry_window, dry_breakers, mirostat, tau, eta,
               bias, seed] = SamplingOptions{};
  EXPECT_EQ(sampling_fields().size(), 24U);
  std::set<std::string> names;
  for (const SamplingField& field : sampling_fields()) names.insert(field.name);
  EXPECT_EQ(names.size(), 24U);
}

TEST(SamplingFields, RefusesBadValues) {
  SamplingChoices choices;
  for (const auto& [name, value] : SamplingChoices{{"temperature", "-1"},
                                                   {"temperature", "hot"},
                                                   {"temperature", "nan"},
                                                   {"top-k", "-1"},
                                                   {"top-k", "1.5"},
                                                   {"top-p", "1.1"},
                                                   {"mirostat", "1"},
                                                   {"seed", "-1"},
                                                   {"seed", ""},
                                                   {"logit-bias", "5"},
                                                   {"logit-bias", "x=1"},
                                                   {"dry-breakers", "a"},
                                                   {"dry-breakers", "[1]"},
                                                   {"nothing", "1"}}) {
    const Result<void> chosen = choose(choices, name, value);
    ASSERT_FALSE(chosen) << name << " = " << value;
    EXPECT_EQ(chosen.error().code, ErrorCode::kUsage);
  }
  EXPECT_TRUE(choices.empty());
}

TEST(SamplingFields, LaterChoicesReplaceEarlierOnes) {
  SamplingChoices choices;
  ASSERT_TRUE(choose(choices, "top_k", "5"));
  ASSERT_TRUE(choose(choices, "top-k", "6"));
  ASSERT_TRUE(choose(choices, "temp", "0"));
  EXPECT_EQ(choices, (SamplingChoices{{"top-k", "6"}, {"temperature", "0"}}));
  SamplingOptions options;
  ASSERT_TRUE(apply_sampling(choices, options));
  EXPECT_EQ(options.top_k, 6);
  EXPECT_EQ(options.temperature, 0.0F);
}

}  // namespace
}  // namespace llmrun::cli
