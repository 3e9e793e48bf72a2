// Nesting of JSON texts.
#include "base/json_depth.h"

#include <gtest/gtest.h>

namespace llmrun {
namespace {

TEST(JsonDepth, CountsBracketsOutsideStrings) {
  EXPECT_FALSE(json_is_deeper_than("[[1], {\"a\": 2}]", 2));
  EXPECT_TRUE(json_is_deeper_than("[[1], {\"a\": [2]}]", 2));
  EXPECT_FALSE(json_is_deeper_than("[\"[[[[\", \"\\\"[[\"]", 1));
  EXPECT_FALSE(json_is_deeper_than("", 0));
  EXPECT_TRUE(json_is_deeper_than("{", 0));
  EXPECT_FALSE(json_is_deeper_than("[] [] []", 1));
}

}  // namespace
}  // namespace llmrun
