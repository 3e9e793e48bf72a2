// Modelfiles and parameters: the grammar, errors with lines, and what has an effect.
#include "store/modelfile.h"

#include <gtest/gtest.h>

#include "store/parameters.h"

namespace llmrun::store {
namespace {

Modelfile parsed(std::string_view text) {
  auto file = parse_modelfile(text);
  EXPECT_TRUE(file.has_value()) << file.error().message;
  return file.value_or(Modelfile());
}

std::string error(std::string_view text) {
  const auto file = parse_modelfile(text);
  return file ? "" : file.error().message;
}

TEST(Modelfile, ReadsEveryCommand) {
  const Modelfile file = parsed(
      "# a comment\n"
      "\n"
      "from ./model.gguf\n"
      "Parameter temperature 0.5\n"
      "PARAMETER stop \"<|end|>\"\n"
      "PARAMETER stop  two words  \n"
      "TEMPLATE \"\"\"{{ .System }}\n"
      "  # no comment \"here\"\n"
      "{{ .Prompt }}\n"
      "\"\"\"\n"
      "  SYSTEM You are a pirate.\r\n"
      "ADAPTER a.gguf\n"
      "ADAPTER \"b c.gguf\"\n"
      "LICENSE MIT\n"
      "MESSAGE user Hi: there\n"
      "MESSAGE assistant \"\"\"Ahoy\n"
      "!\"\"\"\n"
      "REQUIRES 0.5.0");
  EXPECT_EQ(file.from, "./model.gguf");
  EXPECT_EQ(file.from_line, 3);
  ASSERT_EQ(file.parameters.size(), 3U);
  EXPECT_EQ(file.parameters[0].name, "temperature");
  EXPECT_EQ(file.parameters[0].value, "0.5");
  EXPECT_EQ(file.parameters[1].value, "<|end|>");
  EXPECT_EQ(file.parameters[1].line, 5);
  EXPECT_EQ(file.parameters[2].value, "two words");
  EXPECT_EQ(file.chat_template, "{{ .System }}\n  # no comment \"here\"\n{{ .Prompt }}\n");
  EXPECT_EQ(file.system, "You are a pirate.");
  EXPECT_EQ(file.adapters, (std::vector<std::string>{"a.gguf", "b c.gguf"}));
  EXPECT_EQ(file.licenses, std::vector<std::string>{"MIT"});
  ASSERT_EQ(file.messages.size(), 2U);
  EXPECT_EQ(file.messages[0].role, "user");
  EXPECT_EQ(file.messages[0].content, "Hi: there");
  EXPECT_EQ(file.messages[1].content, "Ahoy\n!");
  EXPECT_EQ(file.requires_version, "0.5.0");
}

TEST(Modelfile, QuotedTextEndsWhereALineEndsWithTheQuote) {
  EXPECT_EQ(parsed("FROM a\nSYSTEM \"x \"y\" z\"").system, "x \"y\" z");
  EXPECT_EQ(parsed("FROM a\nSYSTEM \"one\n\ntwo\" \n").system, "one\n\ntwo");
  EXPECT_EQ(parsed("FROM a\nSYSTEM \"\"").system, "");
  EXPECT_EQ(parsed("FROM a\nSYSTEM \"\"\"\"quoted\"\"\"\"").system, "\"quoted\"");
  EXPECT_EQ(parsed("FROM a\nSYSTEM 'x'").system, "'x'");
  EXPECT_EQ(parsed("FROM a\nSYSTEM a # b").system, "a # b");
}

TEST(Modelfile, ReadsOtherEncodings) {
  EXPECT_EQ(parsed("\xEF\xBB\xBF"
                   "FROM a")
                .from,
            "a");
  const std::string text = "FROM \xC3\xA9";
  std::string little = "\xFF\xFE", big = "\xFE\xFF";
  for (const char c : std::string("FROM \xE9")) {
    little += {c, '\0'};
    big += {'\0', c};
  }
  EXPECT_EQ(parsed(little).from, text.substr(5));
  EXPECT_EQ(parsed(big).from, text.substr(5));
}

TEST(Modelfile, ErrorsNameTheLine) {
  EXPECT_NE(error("").find("no FROM line"), std::string::npos);
  EXPECT_NE(error("# x\nSYSTEM y").find("no FROM line"), std::string::npos);
  EXPECT_NE(error("FROM a\n\nFORM b").find("line 3: FORM is no command"), std::string::npos);
  EXPECT_NE(error("FROM a\nFROM b").find("line 2"), std::string::npos);
  EXPECT_NE(error("FROM a\nSYSTEM \"\"\"x\ny\n").find("line 2: "), std::string::npos);
  EXPECT_NE(error("FROM a\nPARAMETER stop").find("line 2"), std::string::npos);
  EXPECT_NE(error("FROM a\nMESSAGE User hi").find("line 2"), std::string::npos);
  EXPECT_NE(error("FROM\n").find("line 1"), std::string::npos);
  EXPECT_NE(error("FROM a\nRENDERER qwen3").find("line 2"), std::string::npos);
  EXPECT_NE(error("FROM a\nX\"\x01").find("line 2"), std::string::npos);
}

TEST(Modelfile, ReadsBackWhatItWrites) {
  Modelfile file;
  file.from = "/a b/model.gguf";
  file.parameters = {{"stop", "\n"}, {"stop", "\"x\""}, {"stop", " y "}, {"top_k", "3"}};
  file.chat_template = "{{ .Prompt }}\n\"\"\"\"";
  file.system = "";
  file.adapters = {"x.gguf"};
  file.licenses = {"one\ntwo"};
  file.messages = {{.role = "user", .content = "\"Hi\""}};
  const Modelfile again = parsed(write_modelfile(file, "a\nb"));
  EXPECT_EQ(again.from, file.from);
  ASSERT_EQ(again.parameters.size(), 4U);
  for (size_t i = 0; i < 4; ++i) EXPECT_EQ(again.parameters[i].value, file.parameters[i].value);
  EXPECT_EQ(again.system, "");
  EXPECT_EQ(again.adapters, file.adapters);
  EXPECT_EQ(again.licenses, file.licenses);
  EXPECT_EQ(again.messages[0].content, "\"Hi\"");
  EXPECT_EQ(write_modelfile(again), write_modelfile(file));
}

// ---- parameters ---------------------------------------------------------------------------------

TEST(Parameters, BecomeTypedJsonAndComeBack) {
  std::vector<std::string> warnings;
  const auto json = parameters_to_json({{"temperature", "0.5", 2},
                                        {"stop", "a", 3},
                                        {"top_k", "7", 4},
                                        {"stop", "b", 5},
                                        {"top_k", "8", 6},
                                        {"num_gpu", "99", 7},
                                        {"use_mmap", "true", 8}},
                                       warnings);
  ASSERT_TRUE(json.has_value()) << json.error().message;
  EXPECT_EQ(*json,
            R"({"temperature":0.5,"stop":["a","b"],"top_k":8,"num_gpu":99,"use_mmap":true})");
  ASSERT_EQ(warnings.size(), 2U);
  EXPECT_NE(warnings[0].find("line 7: num_gpu"), std::string::npos);
  const auto back = parameters_from_json(*json).value();
  ASSERT_EQ(back.size(), 6U);
  EXPECT_EQ(back[1].value, "a");
  EXPECT_EQ(back[2].value, "b");
  EXPECT_EQ(back[3].value, "8");
}

TEST(Parameters, BadOnesAreErrorsWithTheirLine) {
  std::vector<std::string> warnings;
  for (const ModelfileParameter& bad : std::vector<ModelfileParameter>{{"temprature", "1", 9},
                                                                       {"temperature", "hot", 9},
                                                                       {"top_k", "1.5", 9},
                                                                       {"top_p", "2", 9},
                                                                       {"top_p", "nan", 9},
                                                                       {"num_ctx", "-5", 9},
                                                                       {"use_mmap", "maybe", 9}}) {
    const auto json = parameters_to_json({bad}, warnings);
    ASSERT_FALSE(json.has_value()) << bad.name;
    EXPECT_EQ(json.error().code, ErrorCode::kUsage);
    EXPECT_NE(json.error().message.find("line 9: "), std::string::npos) << json.error().message;
  }
  EXPECT_NE(
      parameters_to_json({{"temprature", "1", 1}}, warnings).error().message.find("temperature"),
      std::string::npos);
}

TEST(Parameters, TakeEffectAndTellWhatDoesNot) {
  RunDefaults defaults;
  defaults.generate.stop = {"old"};
  const auto parameters =
      parameters_from_json(
          R"({"temperature":0.25,"seed":7,"num_predict":-2,"num_ctx":4096,"repeat_last_n":-1,)"
          R"("stop":["x","y"],"num_keep":5,"top_p":7,"strange":1,"num_thread":2,"min_p":[],)"
          R"("top_k":{"a":1}})")
          .value();
  const auto told = apply_parameters(parameters, defaults);
  EXPECT_FLOAT_EQ(defaults.generate.sampling.temperature, 0.25F);
  EXPECT_EQ(defaults.generate.sampling.seed, 7U);
  EXPECT_EQ(defaults.generate.max_tokens, -1);
  EXPECT_EQ(defaults.context.context_tokens, 4096);
  EXPECT_EQ(defaults.generate.sampling.penalty_window, -1);
  EXPECT_EQ(defaults.generate.stop, (std::vector<std::string>{"x", "y"}));
  EXPECT_EQ(defaults.load.threads, 2);
  EXPECT_FLOAT_EQ(defaults.generate.sampling.top_p, SamplingOptions().top_p);
  ASSERT_EQ(told.size(), 3U);
  EXPECT_NE(told[0].find("num_keep"), std::string::npos);
  EXPECT_NE(told[1].find("top_p"), std::string::npos);
  EXPECT_NE(told[2].find("strange"), std::string::npos);
  EXPECT_FALSE(parameters_from_json("[1]").has_value());
  EXPECT_FALSE(parameters_from_json("{").has_value());
}

}  // namespace
}  // namespace llmrun::store
