// Splitting thinking from the answer, whatever way the text is cut.
#include "chat/thinking.h"

#include <gtest/gtest.h>

#include <vector>

namespace llmrun::chat {
namespace {

struct Case {
  std::string_view prompt;
  std::string_view text;
  std::string_view thinking;
  std::string_view answer;
};

const std::vector<Case> kCases = {
    {"", "plain answer", "", "plain answer"},
    {"", " \n kept blanks", "", " \n kept blanks"},
    {"", "", "", ""},
    {"", "   ", "", "   "},
    {"", "<think>a</think>b", "a", "b"},
    {"", "\n<think>\nSix times\n\nseven.\n</think>\n\n42", "Six times\n\nseven.", "42"},
    {"", "<think></think>\n\nb", "", "b"},
    {"", "<think>never closed </thin", "never closed </thin", ""},
    {"", "<think>", "", ""},
    {"", "<thin air>", "", "<thin air>"},
    {"", "<thi", "", "<thi"},
    {"", "an answer with <think>tags</think> inside", "",
     "an answer with <think>tags</think> inside"},
    {"", "<think>a</think>b <think>c</think>", "a", "b <think>c</think>"},
    {"", "<think>a < b </ c </thinx></think>d", "a < b </ c </thinx>", "d"},
    {"...assistant\n<think>\n", "thought\n</think>\n\nanswer", "thought", "answer"},
    {"...assistant\n<think>", "thought", "thought", ""},
    {"...<think>\n\n</think>\n\n", "\n answer</think>", "", "answer</think>"},
    {"<think>old</think> user says", "answer", "", "answer"},
    {"", "<thinking>a</think></thinking>b", "a</think>", "b"},
    {"", "<seed:think>a</seed:think>b", "a", "b"},
    {"", "[THINK]a[/THINK]b", "a", "b"},
    {"", "<|START_THINKING|>a<|END_THINKING|>b", "a", "b"},
    {"", "<|channel|>analysis<|message|>why<|end|><|start|>assistant<|channel|>final<|message|>x",
     "why", "x"},
    {"", "<|channel|>analysis<|message|>why <|end|><|channel|>final<|message|>x", "why", "x"},
    {"", "<|channel|>analysis<|message|>a <|end|> b<|start|>c", "a <|end|> b<|start|>c", ""},
    {"", "<|channel|>final<|message|>x", "", "x"},
    {"", "<|channel>thought\nhm<channel|>x", "hm", "x"},
};

struct Outcome {
  std::string thinking;
  std::string answer;
};

Outcome run(std::string_view prompt, const std::vector<std::string_view>& pieces) {
  ThinkingSplitter splitter(prompt);
  Outcome all;
  const auto add = [&all](const ThinkingSplit& part) {
    all.thinking += part.thinking;
    all.answer += part.answer;
  };
  for (const std::string_view piece : pieces) add(splitter.feed(piece));
  add(splitter.finish());
  return all;
}

void expect(const Case& wanted, const std::vector<std::string_view>& pieces) {
  const Outcome got = run(wanted.prompt, pieces);
  EXPECT_EQ(got.thinking, wanted.thinking);
  EXPECT_EQ(got.answer, wanted.answer);
}

TEST(Thinking, WholeText) {
  for (const Case& entry : kCases) {
    SCOPED_TRACE(entry.text);
    expect(entry, {entry.text});
  }
}

TEST(Thinking, ByteByByte) {
  for (const Case& entry : kCases) {
    SCOPED_TRACE(entry.text);
    std::vector<std::string_view> pieces;
    for (size_t i = 0; i < entry.text.size(); ++i) pieces.push_back(entry.text.substr(i, 1));
    expect(entry, pieces);
  }
}

TEST(Thinking, CutAtEveryTwoPlaces) {
  for (const Case& entry : kCases) {
    SCOPED_TRACE(entry.text);
    for (size_t i = 0; i <= entry.text.size(); ++i) {
      for (size_t j = i; j <= entry.text.size(); ++j) {
        expect(entry, {entry.text.substr(0, i), entry.text.substr(i, j - i), entry.text.substr(j)});
      }
    }
  }
}

TEST(Thinking, TextIsSettledAsSoonAsItCanBe) {
  ThinkingSplitter splitter;
  EXPECT_EQ(splitter.feed("<think>").thinking, "");
  EXPECT_TRUE(splitter.thinking());
  EXPECT_EQ(splitter.feed("abc").thinking, "abc");
  EXPECT_EQ(splitter.feed("d</th").thinking, "d");
  EXPECT_EQ(splitter.feed("ink>").thinking, "");
  EXPECT_EQ(splitter.feed("\n\nyes").answer, "yes");
  EXPECT_EQ(splitter.feed(" no").answer, " no");
}

}  // namespace
}  // namespace llmrun::chat
