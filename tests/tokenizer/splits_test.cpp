// The splitters against the regular expressions of published tokenizers (make_splits.py).
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/utf8.h"
#include "tokenizer/pre_tokenizer.h"
#include "tokenizer/vocabularies.h"

namespace llmrun::tokenizer {
namespace {

TEST(Splits, AreThoseOfTheRegularExpressions) {
  const auto data = nlohmann::json::parse(read_text(data_folder() / "splits.json"), nullptr, false);
  ASSERT_TRUE(data.is_object());
  const auto texts = data["texts"].get<std::vector<std::string>>();
  size_t n_splitters = 0;
  for (const auto& [name, all] : data.items()) {
    if (name == "texts") continue;
    const auto pre = find_pre_tokenizer(name);
    ASSERT_TRUE(pre) << name;
    const auto expected = all.get<std::vector<std::vector<size_t>>>();
    ASSERT_EQ(expected.size(), texts.size());
    for (size_t i = 0; i < texts.size(); ++i) {
      std::vector<size_t> lengths;
      split_words(**pre, texts[i],
                  [&](std::string_view word) { lengths.push_back(utf8::count(word)); });
      EXPECT_EQ(lengths, expected[i]) << name << ": \"" << texts[i] << "\"";
    }
    ++n_splitters;
  }
  EXPECT_GE(n_splitters, 14U);
}

}  // namespace
}  // namespace llmrun::tokenizer
