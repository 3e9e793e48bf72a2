// Command lines against an option table.
#include "cli/option_table.h"

#include <gtest/gtest.h>

namespace llmrun::cli {
namespace {

struct Sample {
  OptionTable table;
  bool verbose = false;
  std::string system, format, model;
  std::vector<std::string> stops, words;
  int64_t threads = 0;
  std::vector<int64_t> lengths;
  std::string resumed = "(not given)";

  Sample() {
    table.add_switch("verbose", 'v', "talk", &verbose);
    table.add_text("system", 0, "TEXT", "system", &system);
    table.add_texts("stop", 0, "TEXT", "stop", &stops);
    table.add_choice("format", 0, {"text", "json"}, "format", &format);
    table.add_integer("threads", 't', "N", "threads", &threads, {1, 64});
    table.add_integers("lengths", 'p', "N,...", "lengths", &lengths, {0, 1000});
    table.find("threads")->alias = "jobs";
    Option& resume = table.add_text("resume", 0, "ID", "resume", &resumed);
    resume.takes_next = [](std::string_view next) { return next == "known"; };
    table.add_text_argument("MODEL", "a model", &model);
    Argument& rest = table.add_text_argument("WORD", "words", nullptr);
    rest.required = false;
    rest.repeated = true;
    rest.set = [this](std::string_view word) -> Result<void> {
      words.emplace_back(word);
      return {};
    };
  }

  Result<void> parse(const std::vector<std::string>& args) { return table.parse(args, "run"); }
  std::string failure(const std::vector<std::string>& args) {
    const Result<void> done = parse(args);
    if (done) return "(no error)";
    EXPECT_EQ(done.error().code, ErrorCode::kUsage);
    return done.error().message;
  }
};

TEST(OptionTable, ReadsEveryFormOfAnOption) {
  Sample s;
  ASSERT_TRUE(s.parse({"m.gguf", "-v", "--system", "be brief", "--stop=a", "--stop", "b", "-t4",
                       "--format=json", "-p", "1,2", "-p", "3", "hello", "world"}));
  EXPECT_EQ(s.model, "m.gguf");
  EXPECT_TRUE(s.verbose);
  EXPECT_EQ(s.system, "be brief");
  EXPECT_EQ(s.stops, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(s.threads, 4);
  EXPECT_EQ(s.format, "json");
  EXPECT_EQ(s.lengths, (std::vector<int64_t>{1, 2, 3}));
  EXPECT_EQ(s.words, (std::vector<std::string>{"hello", "world"}));
  EXPECT_TRUE(s.table.given("system"));
  EXPECT_FALSE(s.table.given("resume"));
}

TEST(OptionTable, TakesValuesAsTheyAre) {
  // Values and prompts that a parser could take for its own syntax.
  for (const std::string value :
       {"[a,b]", "{}", "-", "a=b", "", "%%", "\"x\"", "1 2", "[", "true"}) {
    Sample s;
    ASSERT_TRUE(s.parse({"m", "--system", value, "--stop", value})) << value;
    EXPECT_EQ(s.system, value);
    EXPECT_EQ(s.stops, std::vector<std::string>{value});
  }
  for (const std::string word : {"[a,b]", "{}", "-", "a=b", "-1", "-0.5", "x y"}) {
    Sample s;
    ASSERT_TRUE(s.parse({"m", word})) << word;
    EXPECT_EQ(s.words, std::vector<std::string>{word});
  }
}

TEST(OptionTable, EverythingAfterTwoDashesIsAnArgument) {
  Sample s;
  ASSERT_TRUE(s.parse({"m", "-v", "--", "--system", "-v", "--"}));
  EXPECT_EQ(s.words, (std::vector<std::string>{"--system", "-v", "--"}));
  EXPECT_EQ(s.system, "");
}

TEST(OptionTable, AliasesAndEmptyValues) {
  Sample s;
  ASSERT_TRUE(s.parse({"m", "--jobs", "3", "--system="}));
  EXPECT_EQ(s.threads, 3);
  EXPECT_TRUE(s.table.given("system"));
  EXPECT_EQ(s.words.size(), 0U);
}

TEST(OptionTable, AValueThatMayBeLeftOutTakesOnlyWhatItKnows) {
  Sample a, b, c;
  ASSERT_TRUE(a.parse({"--resume", "known", "m"}));
  EXPECT_EQ(a.resumed, "known");
  EXPECT_EQ(a.model, "m");
  ASSERT_TRUE(b.parse({"m", "--resume", "why?"}));
  EXPECT_EQ(b.resumed, "");
  EXPECT_EQ(b.words, std::vector<std::string>{"why?"});
  ASSERT_TRUE(c.parse({"m", "--resume=other"}));
  EXPECT_EQ(c.resumed, "other");
}

TEST(OptionTable, NamesTheNearestOption) {
  Sample s;
  EXPECT_NE(s.failure({"m", "--sistem", "x"}).find("did you mean '--system'"), std::string::npos);
  EXPECT_NE(s.failure({"m", "--thread", "1"}).find("--threads"), std::string::npos);
  const std::string far = s.failure({"m", "--zzzzzzzz"});
  EXPECT_NE(far.find("unknown option '--zzzzzzzz'"), std::string::npos);
  EXPECT_EQ(far.find("did you mean"), std::string::npos);
  EXPECT_NE(s.failure({"m", "-x"}).find("unknown option '-x'"), std::string::npos);
}

TEST(OptionTable, RefusesWhatMakesNoSense) {
  EXPECT_NE(Sample().failure({"m", "--threads", "0"}).find("from 1 to 64"), std::string::npos);
  EXPECT_NE(Sample().failure({"m", "--threads", "4x"}).find("'4x'"), std::string::npos);
  EXPECT_NE(Sample().failure({"m", "--threads"}).find("needs a value"), std::string::npos);
  EXPECT_NE(Sample().failure({"m", "--format", "xml"}).find("text, json"), std::string::npos);
  EXPECT_NE(Sample().failure({"m", "--verbose=yes"}).find("takes no value"), std::string::npos);
  EXPECT_NE(Sample().failure({"m", "-p", "1,,2"}).find("--lengths"), std::string::npos);
  EXPECT_NE(Sample().failure({}).find("MODEL is missing"), std::string::npos);
}

TEST(OptionTable, TooManyArgumentsAreAnError) {
  OptionTable table;
  std::string one;
  table.add_text_argument("ONE", "one", &one);
  const std::vector<std::string> args = {"a", "b"};
  const Result<void> done = table.parse(args, "show");
  ASSERT_FALSE(done);
  EXPECT_NE(done.error().message.find("'b'"), std::string::npos);
}

TEST(OptionTable, NumbersAreWholeAndInRange) {
  EXPECT_EQ(parse_integer("-5", "x").value(), -5);
  EXPECT_FALSE(parse_integer("", "x"));
  EXPECT_FALSE(parse_integer("99999999999999999999", "x"));
  EXPECT_DOUBLE_EQ(parse_number("0.25", "x").value(), 0.25);
  EXPECT_FALSE(parse_number("nan", "x"));
  EXPECT_FALSE(parse_number("inf", "x"));
  EXPECT_FALSE(parse_number("1,5", "x"));
}

}  // namespace
}  // namespace llmrun::cli
