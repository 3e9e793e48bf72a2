// Widths, wrapping and tables.
#include "cli/text_layout.h"

#include <gtest/gtest.h>

namespace llmrun::cli {
namespace {

TEST(TextLayout, CountsColumns) {
  EXPECT_EQ(display_width("abc"), 3);
  EXPECT_EQ(display_width("Köln"), 4);
  EXPECT_EQ(display_width("日本"), 4);
  EXPECT_EQ(display_width("e\xCC\x81"), 1);  // e and a combining accent
}

TEST(TextLayout, ShortensToColumns) {
  EXPECT_EQ(shorten("short", 10), "short");
  EXPECT_EQ(shorten("a long text", 6), "a lon…");
  EXPECT_EQ(display_width(shorten("日本語日本語", 6)), 5);
}

TEST(TextLayout, Wraps) {
  EXPECT_EQ(wrap_words("one two three", 7, 2), "one two\n  three");
  EXPECT_EQ(wrap_words("averylongword x", 4, 0), "averylongword\nx");
  EXPECT_EQ(wrap_words("", 10, 0), "");
}

TEST(TextLayout, AlignsTables) {
  TextTable table;
  table.add_column("NAME");
  table.add_column("N", Align::kRight);
  table.add_row({"ä", "10"});
  table.add_row({"bcdef"});
  EXPECT_EQ(table.text(), "NAME    N\nä      10\nbcdef\n");
}

}  // namespace
}  // namespace llmrun::cli
