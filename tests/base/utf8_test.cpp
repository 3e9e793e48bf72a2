// UTF-8 decoding against the rules of RFC 3629.
#include "base/utf8.h"

#include <gtest/gtest.h>

namespace llmrun {
namespace {

bool is_scalar(uint32_t c) { return c <= 0x10FFFF && (c < 0xD800 || c > 0xDFFF); }

TEST(Utf8, EveryCodePointRoundTrips) {
  for (uint32_t c = 0; c <= 0x10FFFF; ++c) {
    if (!is_scalar(c)) continue;
    const std::string text = utf8::encode(c);
    const utf8::Decoded decoded = utf8::decode(text);
    ASSERT_TRUE(decoded.valid) << c;
    ASSERT_EQ(decoded.code_point, c);
    ASSERT_EQ(decoded.length, text.size());
    // A part of a character is known to be one, and is held back whole.
    for (size_t n = 1; n < text.size(); ++n) {
      const std::string_view part = std::string_view(text).substr(0, n);
      ASSERT_TRUE(utf8::decode(part).truncated);
      ASSERT_EQ(utf8::decode(part).length, n);
      ASSERT_EQ(utf8::complete_prefix("ab" + std::string(part)), 2U);
    }
  }
}

TEST(Utf8, WhatIsNoCharacterBecomesTheReplacement) {
  for (const uint32_t c : {0xD800U, 0xDFFFU, 0x110000U, 0xFFFFFFFFU}) {
    EXPECT_EQ(utf8::encode(c), "\xEF\xBF\xBD");
  }
}

TEST(Utf8, RefusesMalformedText) {
  for (const char* text :
       {"\x80", "\xBF", "\xC0\xAF", "\xC1\xBF", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xF0\x8F\xBF\xBF",
        "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF", "\xC3(", "\xE2\x82(", "a\xE2\x82"}) {
    EXPECT_FALSE(utf8::is_valid(text)) << text;
  }
  EXPECT_TRUE(utf8::is_valid("aé€😀"));
  EXPECT_TRUE(utf8::is_valid(""));
}

// The example of the Unicode standard, table 3-8: one replacement for each maximal part.
TEST(Utf8, SanitizesByMaximalParts) {
  EXPECT_EQ(utf8::sanitize("\x61\xF1\x80\x80\xE1\x80\xC2\x62\x80\x63\x80\xBF\x64"),
            "a\uFFFD\uFFFD\uFFFDb\uFFFDc\uFFFD\uFFFDd");
  EXPECT_EQ(utf8::sanitize("héllo"), "héllo");
  EXPECT_EQ(utf8::count("a\xF1\x80\x80z€"), 4U);
}

TEST(Utf8, HoldsBackOnlyWhatMayBecomeACharacter) {
  EXPECT_EQ(utf8::complete_prefix(""), 0U);
  EXPECT_EQ(utf8::complete_prefix("abc"), 3U);
  EXPECT_EQ(utf8::complete_prefix("é"), 2U);
  EXPECT_EQ(utf8::complete_prefix("a\xF0\x9F\x98"), 1U);
  EXPECT_EQ(utf8::complete_prefix("a\xFF"), 2U);             // can never become one
  EXPECT_EQ(utf8::complete_prefix("\x80\x80\x80\x80"), 4U);  // nor these
  EXPECT_EQ(utf8::complete_prefix("a\xED\xA0"), 3U);         // nor a surrogate
}

}  // namespace
}  // namespace llmrun
