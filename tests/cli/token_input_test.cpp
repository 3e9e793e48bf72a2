// Lists of token ids.
#include "cli/token_input.h"

#include <gtest/gtest.h>

namespace llmrun::cli {
namespace {

TEST(TokenInput, ReadsIdsInAnyNotation) {
  const std::vector<TokenId> expected = {1, 20, 3};
  for (const char* text : {"1 20 3", "1,20,3", "[1, 20, 3]", " 1\n20\n3\n", "1\t20,\r\n3"}) {
    EXPECT_EQ(parse_ids(text).value(), expected) << text;
  }
  EXPECT_TRUE(parse_ids("")->empty());
  EXPECT_TRUE(parse_ids(" \n")->empty());
}

TEST(TokenInput, RefusesWhatIsNoId) {
  for (const char* text : {"1 x", "-1", "1.5", "99999999999", "1;2", "0x10"}) {
    EXPECT_FALSE(parse_ids(text)) << text;
  }
}

}  // namespace
}  // namespace llmrun::cli
