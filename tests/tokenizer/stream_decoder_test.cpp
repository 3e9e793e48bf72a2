// However the text is cut into pushes, the same text comes out, in whole characters, and nothing
// of a stop string.
#include "tokenizer/stream_decoder.h"

#include <gtest/gtest.h>

#include <random>

#include "base/utf8.h"
#include "tokenizer/vocabularies.h"

namespace llmrun::tokenizer {
namespace {

class StreamDecoderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    vocabulary_ = tiny_byte_pair();
    tokenizer_ = make(vocabulary_);
    ASSERT_NE(tokenizer_, nullptr);
  }

  struct Output {
    std::string text;
    std::string stop;
    bool stopped = false;
    bool operator==(const Output&) const = default;
  };

  // Pushes bytes in the given sizes (the last one repeats) and checks each answer.
  Output run(std::string_view bytes, const std::vector<std::string>& stops, size_t first,
             size_t rest) {
    StreamDecoder decoder(*tokenizer_, stops);
    Output output;
    for (size_t pos = 0; pos < bytes.size();) {
      const size_t size = std::min(bytes.size() - pos, pos == 0 ? first : rest);
      const std::string part = decoder.push_bytes(bytes.substr(pos, size));
      EXPECT_TRUE(utf8::is_valid(part));
      output.text += part;
      pos += size;
    }
    output.text += decoder.flush();
    output.stopped = decoder.stopped();
    output.stop = decoder.stop_string();
    EXPECT_TRUE(utf8::is_valid(output.text));
    return output;
  }

  void expect_whatever_the_cut(std::string_view bytes, const std::vector<std::string>& stops,
                               const Output& expected) {
    for (size_t cut = 1; cut <= bytes.size(); ++cut) {
      EXPECT_EQ(run(bytes, stops, cut, bytes.size()), expected) << "cut at " << cut;
      EXPECT_EQ(run(bytes, stops, cut, cut), expected) << "cut every " << cut;
    }
  }

  OwnedVocabulary vocabulary_;
  std::unique_ptr<Tokenizer> tokenizer_;
};

TEST_F(StreamDecoderTest, WholeCharactersOnly) {
  expect_whatever_the_cut("a\xC3\xA9\xE4\xB8\xAD\xF0\x9F\x98\x80z", {},
                          {"a\xC3\xA9\xE4\xB8\xAD\xF0\x9F\x98\x80z", "", false});
}

TEST_F(StreamDecoderTest, InvalidBytesBecomeReplacements) {
  expect_whatever_the_cut(
      "a\xFF"
      "b\xF0\x9F",
      {},
      {"a\xEF\xBF\xBD"
       "b\xEF\xBF\xBD",
       "", false});
  expect_whatever_the_cut(
      "\xE4\xB8"
      "c",
      {},
      {"\xEF\xBF\xBD"
       "c",
       "", false});
}

TEST_F(StreamDecoderTest, StopStrings) {
  expect_whatever_the_cut("Hello</s>more", {"</s>"}, {"Hello", "</s>", true});
  expect_whatever_the_cut("a < b </ c", {"</s>"}, {"a < b </ c", "", false});
  expect_whatever_the_cut("end</", {"</s>"}, {"end</", "", false});
  expect_whatever_the_cut("\xE4\xB8\xAD\xE6\x96\x87\xE5\xAD\x97", {"\xE6\x96\x87"},
                          {"\xE4\xB8\xAD", "\xE6\x96\x87", true});
  expect_whatever_the_cut("text", {"", "no"}, {"text", "", false});
}

TEST_F(StreamDecoderTest, OverlappingStopStrings) {
  // The one that is complete first counts, and of two that end together the longer.
  expect_whatever_the_cut("xabcd", {"abcd", "bc"}, {"xa", "bc", true});
  expect_whatever_the_cut("xabcd", {"cd", "abcd"}, {"x", "abcd", true});
  expect_whatever_the_cut("aaab", {"aab"}, {"a", "aab", true});
  expect_whatever_the_cut("ababac", {"abac", "zz"}, {"ab", "abac", true});
  expect_whatever_the_cut("ababad", {"abac", "adx"}, {"ababad", "", false});
}

TEST_F(StreamDecoderTest, NothingOfAStopStringIsEverShown) {
  std::mt19937 random(5);
  for (int i = 0; i < 500; ++i) {
    std::string text;
    for (int j = 0; j < 40; ++j) text.push_back("ab<"[random() % 3]);
    const std::vector<std::string> stops = {"ab<", "bba"};
    const Output whole = run(text, stops, text.size(), 1);
    EXPECT_EQ(run(text, stops, 1, 1), whole);
    size_t end = std::string::npos;
    for (const std::string& stop : stops) {
      const size_t found = text.find(stop);
      if (found != std::string::npos) end = std::min(end, found + stop.size());
    }
    EXPECT_EQ(whole.stopped, end != std::string::npos);
    EXPECT_EQ(whole.text + whole.stop, text.substr(0, end));
  }
}

TEST_F(StreamDecoderTest, TokensOfHalfACharacter) {
  StreamDecoder decoder(*tokenizer_);
  EXPECT_EQ(decoder.push(0xF0), "");
  EXPECT_EQ(decoder.push(0x9F), "");
  EXPECT_EQ(decoder.push(0x98), "");
  EXPECT_EQ(decoder.push(0x80), "\xF0\x9F\x98\x80");
  EXPECT_EQ(decoder.push(0xC3), "");
  EXPECT_EQ(decoder.flush(), "\xEF\xBF\xBD");
}

TEST_F(StreamDecoderTest, ControlTokensHaveNoText) {
  const TokenId end = vocabulary_.data.special.eos.value();
  StreamDecoder plain(*tokenizer_);
  EXPECT_EQ(plain.push(end), "");
  StreamDecoder with_special(*tokenizer_, {}, true);
  EXPECT_EQ(with_special.push(end), "<|im_end|>");
  EXPECT_EQ(plain.push(-7), "");
  EXPECT_EQ(plain.push(1 << 30), "");
}

}  // namespace
}  // namespace llmrun::tokenizer
