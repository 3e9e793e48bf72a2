// Markdown on a terminal: looks, losslessness, and independence of how the text is cut.
#include "cli/markdown.h"

#include <gtest/gtest.h>

#include "cli/text_layout.h"

namespace llmrun::cli {
namespace {

std::string render(std::string_view text, int width = 40, size_t cut = std::string::npos) {
  std::string out;
  MarkdownPrinter printer([&out](std::string_view piece) { out += piece; }, width);
  if (cut == std::string::npos) {
    printer.write(text);
  } else {
    printer.write(text.substr(0, cut));
    printer.write(text.substr(cut));
  }
  printer.finish();
  return out;
}

// What a reader sees: without escape sequences.
std::string visible(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\x1b') {
      i = text.find('m', i);
      continue;
    }
    out += text[i];
  }
  return out;
}

constexpr std::string_view kDocument =
    "# Title of *it*\n\nSome **bold text** and `code` with a [link](http://x.y/z), 2 * 3 * 4, "
    "snake_case_name and a*b.\n\n- first item that is long enough to be wrapped at forty columns\n"
    "  - nested **item**\n* star\n12. twelve\n\n> quoted *text*\n>> twice\n\n```python\ndef f(x):\n"
    "    return \"**not bold**\"\n```\n\n| a | b |\n|---|:-:|\n| `1` | **zwei** |\n| 日本 | x |\n\n"
    "---\n日本語のテキストは単語の間に空白がありません。長い行は折り返されます。\n"
    "~~gone~~ ***both*** \\*literal\\* \\(x^2\\)\n"
    "unclosed **bold and `code\nEmoji 🙂 end";

TEST(Markdown, DoesNotDependOnTheCuts) {
  const std::string whole = render(kDocument);
  for (size_t cut = 0; cut <= kDocument.size(); ++cut) {
    ASSERT_EQ(render(kDocument, 40, cut), whole) << "cut at byte " << cut;
  }
  std::string out;
  MarkdownPrinter printer([&out](std::string_view piece) { out += piece; }, 40);
  for (const char c : kDocument) printer.write(std::string_view(&c, 1));
  printer.finish();
  EXPECT_EQ(out, whole);
}

TEST(Markdown, StylesInline) {
  EXPECT_EQ(render("a **b** c\n"), "a \x1b[0;1mb \x1b[0mc\n");
  EXPECT_EQ(render("*i* `c`\n"), "\x1b[0;3mi \x1b[0;36mc\x1b[0m\n");
  EXPECT_EQ(visible(render("**a *b* c**\n")), "a b c\n");
  EXPECT_EQ(visible(render("see [x](http://y)\n")), "see x (http://y)\n");
  EXPECT_EQ(visible(render("这是**重点**内容\n")), "这是重点内容\n");
}

TEST(Markdown, LeavesAloneWhatIsNoMarkup) {
  for (const std::string_view text : {"2 * 3 * 4 = 24\n",
                                      "a*b*c\n",
                                      "snake_case_name\n",
                                      "unclosed **bold\n",
                                      "an `open tick\n",
                                      "[1] and [2]\n",
                                      "5 ** 2\n",
                                      "#hashtag\n",
                                      "1.5 litres\n",
                                      "-5 degrees\n",
                                      "\\(x\\)\n",
                                      "~ 5\n",
                                      "a | b\n",
                                      "*\n",
                                      "**\n",
                                      "_\n",
                                      "`\n",
                                      "[\n",
                                      "](\n",
                                      "3)\n",
                                      "+\n"}) {
    EXPECT_EQ(visible(render(text)), text) << text;
  }
}

TEST(Markdown, BlocksHaveTheirLooks) {
  EXPECT_EQ(visible(render("# One\n## Two\n")), "One\nTwo\n");
  EXPECT_EQ(visible(render("- a\n* b\n+ c\n1. d\n2) e\n")), "• a\n• b\n• c\n1. d\n2) e\n");
  EXPECT_EQ(visible(render("> a\n> > b\n")), "│ a\n│ │ b\n");
  EXPECT_EQ(visible(render(">é\n>\n> b\n")), "│ é\n│ \n│ b\n");
  EXPECT_EQ(visible(render("***\n")).find("───"), 0U);
}

TEST(Markdown, KeepsCodeAsItIs) {
  const std::string code =
      "```cpp\nint  *a, **b;  // *x* `y` a line that is much longer than the forty columns\n\n"
      "\tif (x) {}\n``\n```\n";
  EXPECT_EQ(visible(render(code)), code);
  EXPECT_EQ(visible(render("~~~\n```\n~~~\n**b**\n")), "~~~\n```\n~~~\nb\n");
  EXPECT_EQ(visible(render("```\nnever closed")), "```\nnever closed\n");
}

TEST(Markdown, WrapsBetweenWords) {
  const std::string out = visible(render("- one two three four five six seven eight\n", 20));
  EXPECT_EQ(out, "• one two three four\n  five six seven\n  eight\n");
  EXPECT_EQ(visible(render("日本語日本語日本語日本語\n", 20)), "日本語日本語日本語日\n本語\n");
  for (const std::string& line : {visible(render("aaaa bbbb cccc dddd eeee ffff gggg\n", 20))}) {
    for (size_t i = 0; i < line.size();) {
      const size_t end = line.find('\n', i);
      EXPECT_LE(display_width(std::string_view(line).substr(i, end - i)), 20);
      i = end + 1;
    }
  }
}

TEST(Markdown, AlignsTablesAndKeepsWideOnes) {
  EXPECT_EQ(visible(render("|a|bb|\n|-|-|\n|ccc|d|\n")), "a   │ bb\n────┼───\nccc │ d\n");
  const std::string wide = "| aaaaaaaaaaaaaaaaaaaa | bbbbbbbbbbbbbbbbbbbbbbbbbb |\n|---|---|\n";
  EXPECT_EQ(visible(render(wide)), wide);
  EXPECT_EQ(visible(render("| no table\ntext\n")), "| no table\ntext\n");
}

TEST(Markdown, TextAppearsAsItStreams) {
  std::string out;
  MarkdownPrinter printer([&out](std::string_view piece) { out += piece; }, 40);
  printer.write("Hello world ");
  EXPECT_EQ(visible(out), "Hello world");
  printer.write("and **bold** more ");
  EXPECT_EQ(visible(out), "Hello world and bold more");
  printer.finish();
  printer.write("```\ncode");
  EXPECT_NE(visible(out).find("code"), std::string::npos);
}

TEST(Markdown, NoEscapeSequenceOfTheTextReachesTheTerminal) {
  const std::string out = render("a\x1b[31mb\x1b]0;title\x07 c\x7f `\x1b[2J`\n");
  EXPECT_EQ(out.find("\x1b[31m"), std::string::npos);
  EXPECT_EQ(out.find("\x1b]"), std::string::npos);
  EXPECT_EQ(out.find("\x1b[2J"), std::string::npos);
  EXPECT_EQ(out.find('\x07'), std::string::npos);
  EXPECT_NE(out.find("\xEF\xBF\xBD"), std::string::npos);
}

TEST(Markdown, EndsItsStyles) {
  for (size_t n = 1; n < kDocument.size(); ++n) {
    const std::string out = render(kDocument.substr(0, n));
    const size_t last = out.rfind("\x1b[");
    if (last != std::string::npos) {
      EXPECT_EQ(out.substr(last, 4), "\x1b[0m") << "after " << n << " bytes";
    }
    ASSERT_EQ(out.back(), '\n');
  }
}

// A held-back span is bounded, so a stray marker cannot stop the stream or cost quadratic time.
TEST(Markdown, GivesUpOnMarkersThatDoNotClose) {
  std::string text = "**";
  for (int i = 0; i < 20000; ++i) text += "word [ * _ ";
  std::string shown = visible(render(text, 1 << 30));
  shown.pop_back();
  while (text.ends_with(' ')) text.pop_back();
  EXPECT_EQ(shown, text);
}

}  // namespace
}  // namespace llmrun::cli
