// Names of models: what is one, and that none leads out of the store.
#include "store/model_name.h"

#include <gtest/gtest.h>

namespace llmrun::store {
namespace {

TEST(ModelName, TagIsLatestWhenLeftOut) {
  const auto name = parse_model_name("smollm2");
  ASSERT_TRUE(name);
  EXPECT_EQ(name->model, "smollm2");
  EXPECT_EQ(name->tag, "latest");
  EXPECT_FALSE(name->has_tag);
}

TEST(ModelName, CaseDoesNotMatter) {
  const auto name = parse_model_name("SmolLM2:135M");
  ASSERT_TRUE(name);
  EXPECT_EQ(name->text(), "smollm2:135m");
}

TEST(ModelName, RefusesWhatCouldLeaveTheStore) {
  for (const char* text : {"", ":", "a:", ":b", "..", "../x", "a/b", "a:../b", "-a", ".a", "a b",
                           "a\nb", "a:b:c d", "\xc3\xa4"}) {
    const auto name = parse_model_name(text);
    ASSERT_FALSE(name) << text;
    EXPECT_EQ(name.error().code, ErrorCode::kUsage);
  }
  EXPECT_FALSE(parse_model_name(std::string(81, 'a')));
  EXPECT_TRUE(parse_model_name(std::string(80, 'a')));
}

}  // namespace
}  // namespace llmrun::store
