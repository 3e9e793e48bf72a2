// What the splitters make of texts whose words are known from their regular expressions.
#include "tokenizer/pre_tokenizer.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

namespace llmrun::tokenizer {
namespace {

using Words = std::vector<std::string>;

Words split(std::string_view name, std::string_view text) {
  const auto pre = find_pre_tokenizer(name);
  EXPECT_TRUE(pre) << name;
  Words words;
  if (pre) split_words(**pre, text, [&](std::string_view word) { words.emplace_back(word); });
  return words;
}

TEST(PreTokenizer, Gpt2) {
  EXPECT_EQ(split("gpt-2", "Don't  stop, it's 2024!\n\n"),
            (Words{"Don", "'t", " ", " stop", ",", " it", "'s", " 2024", "!", "\n\n"}));
  EXPECT_EQ(split("gpt-2", "DON'T"), (Words{"DON", "'", "T"}));
  EXPECT_EQ(split("gpt-2", "a \n b"), (Words{"a", " \n", " b"}));
  EXPECT_EQ(split("gpt-2", "x   "), (Words{"x", "   "}));
}

TEST(PreTokenizer, DigitsApart) {
  EXPECT_EQ(split("starcoder", "a 123"), (Words{"a", " ", "1", "2", "3"}));
  EXPECT_EQ(split("smollm", "v10"), (Words{"v", "1", "0"}));
}

TEST(PreTokenizer, Llama3AndQwen2) {
  EXPECT_EQ(split("llama-bpe", "I'LL pay $12345.\n\n  ok"),
            (Words{"I", "'LL", " pay", " $", "123", "45", ".\n\n", " ", " ok"}));
  EXPECT_EQ(split("qwen2", "12 a"), (Words{"1", "2", " a"}));
  EXPECT_EQ(split("qwen2", "(word"), (Words{"(word"}));
  EXPECT_EQ(split("qwen2", " \n \n  x"), (Words{" \n \n", " ", " x"}));
  // A combining mark belongs to the word in Qwen3.5 only.
  EXPECT_EQ(split("qwen2", "e\xCC\x81t"), (Words{"e", "\xCC\x81t"}));
  EXPECT_EQ(split("qwen35", "e\xCC\x81t"), (Words{"e\xCC\x81t"}));
  EXPECT_EQ(split("seed-coder", "a!\n\nb"), (Words{"a", "!", "\n\n", "b"}));
}

TEST(PreTokenizer, CasedWords) {
  EXPECT_EQ(split("gpt-4o", "HTMLParser isn't"), (Words{"HTMLParser", " isn't"}));
  EXPECT_EQ(split("gpt-4o", "fooBar ABC 1234/\n"),
            (Words{"foo", "Bar", " ABC", " ", "123", "4", "/\n"}));
  EXPECT_EQ(split("tekken", "isn't 12"), (Words{"isn", "'t", " ", "1", "2"}));
  // Letters without case end a run of capitals: the engine gives back up to the last of them.
  EXPECT_EQ(split("gpt-4o",
                  "\xE4\xB8\xAD"
                  "AB"),
            (Words{"\xE4\xB8\xAD", "AB"}));
  EXPECT_EQ(split("kimi-k2", "\xE4\xB8\xAD\xE6\x96\x87word"),
            (Words{"\xE4\xB8\xAD\xE6\x96\x87", "word"}));
}

TEST(PreTokenizer, DeepSeek) {
  EXPECT_EQ(split("deepseek-llm", "Hi, 12\n\xE4\xB8\xAD\xE6\x96\x87"),
            (Words{"Hi", ",", " ", "12", "\n", "\xE4\xB8\xAD\xE6\x96\x87"}));
  EXPECT_EQ(split("deepseek-llm", "x   "), (Words{"x", "   "}));
  EXPECT_EQ(split("deepseek-coder", "x = 42;"), (Words{"x", " = ", "4", "2", ";"}));
  EXPECT_EQ(split("deepseek-v3", "f(x)=1234"), (Words{"f", "(x", ")=", "123", "4"}));
}

TEST(PreTokenizer, FalconAndBloom) {
  EXPECT_EQ(split("falcon", "ab==12345"), (Words{"ab", "==", "123", "45"}));
  EXPECT_EQ(split("bloom", "Hi there, you"), (Words{"Hi", " there", ",", " you"}));
  EXPECT_EQ(split("superbpe", "is 1234567 ok"), (Words{"is ", "1", "234", "567", " ok"}));
}

// Whatever the bytes, the words joined are the text.
TEST(PreTokenizer, LosesNothing) {
  std::mt19937 random(3);
  for (const char* name :
       {"default", "gpt-2", "starcoder", "llama-bpe", "qwen2", "qwen35", "seed-coder", "gpt-4o",
        "tekken", "kimi-k2", "deepseek-llm", "deepseek-coder", "deepseek-v3", "falcon", "bloom",
        "viking", "superbpe"}) {
    for (int i = 0; i < 300; ++i) {
      constexpr std::string_view kParts[] = {" ",
                                             "  ",
                                             "\n",
                                             "\r\n",
                                             "a",
                                             "B",
                                             "'s",
                                             "'LL",
                                             "1",
                                             "234",
                                             "!",
                                             "(",
                                             "\xCC\x81",
                                             "\xE4\xB8\xAD",
                                             "\xC3",
                                             "\xFF",
                                             "\xF0\x9F\x98\x80",
                                             "\xC2\xA0",
                                             "/"};
      std::string text;
      for (size_t parts = random() % 30; parts > 0; --parts) {
        text += kParts[random() % std::size(kParts)];
      }
      std::string joined;
      for (const std::string& word : split(name, text)) {
        ASSERT_FALSE(word.empty());
        joined += word;
      }
      ASSERT_EQ(joined, text) << name;
    }
  }
}

}  // namespace
}  // namespace llmrun::tokenizer
