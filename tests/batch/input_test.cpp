// Batch lines: what is taken, what is refused, and with which words.
#include <gtest/gtest.h>

#include <fstream>

#include "base/temporary_folder.h"
#include "batch/faults.h"
#include "batch/input.h"

namespace llmrun::batch {
namespace {

std::string chat_line(const std::string& id, const std::string& more = "") {
  return R"({"custom_id":")" + id +
         R"(","method":"POST","url":"/v1/chat/completions","body":{"messages":[{"role":"user",)"
         R"("content":"Hi"}])" +
         more + "}}";
}

std::vector<Row> rows_of(const std::string& text) {
  auto rows = read_json_lines(text);
  EXPECT_TRUE(rows) << rows.error().message;
  return rows ? std::move(*rows) : std::vector<Row>();
}

// The fault of the one line, or "".
std::string fault_of(const std::string& line) {
  const auto rows = rows_of(line);
  if (rows.size() != 1) return "not one row";
  return rows[0].fault ? rows[0].fault->message : "";
}

TEST(BatchInput, ReadsAChatLineWithAllItsFields) {
  const auto rows = rows_of(
      "\xEF\xBB\xBF" +
      chat_line(
          "a",
          R"(,"model":"m","max_tokens":7,"temperature":0.5,"top_p":0.25,"top_k":3,"min_p":0.1,)"
          R"("seed":12,"stop":["x","y"],"presence_penalty":1,"frequency_penalty":-1,)"
          R"("repetition_penalty":1.5,"logit_bias":{"5":-100},"n":1,"stream":false,)"
          R"("response_format":{"type":"text"},"user":"me","logprobs":null,"tools":[])") +
      "\r\n\n");
  ASSERT_EQ(rows.size(), 1U);
  const Row& row = rows[0];
  ASSERT_FALSE(row.fault) << row.fault->message;
  EXPECT_EQ(row.line, 1);
  EXPECT_EQ(row.custom_id, "a");
  EXPECT_EQ(row.model, "m");
  EXPECT_EQ(row.endpoint, Endpoint::kChat);
  ASSERT_EQ(row.messages.size(), 1U);
  EXPECT_EQ(row.messages[0].content, "Hi");
  EXPECT_EQ(row.max_tokens, 7);
  EXPECT_EQ(row.stop, (std::vector<std::string>{"x", "y"}));
  SamplingOptions options;
  row.sampling.apply(options);
  EXPECT_EQ(options.temperature, 0.5F);
  EXPECT_EQ(options.top_p, 0.25F);
  EXPECT_EQ(options.top_k, 3);
  EXPECT_EQ(options.min_p, 0.1F);
  EXPECT_EQ(options.seed, 12U);
  EXPECT_EQ(options.presence_penalty, 1.0F);
  EXPECT_EQ(options.frequency_penalty, -1.0F);
  EXPECT_EQ(options.repeat_penalty, 1.5F);
  ASSERT_EQ(options.logit_bias.size(), 1U);
  EXPECT_EQ(options.logit_bias[0], (std::pair<TokenId, float>(5, -100.0F)));
}

TEST(BatchInput, ReadsPartsToolCallsAndThoughts) {
  const auto rows = rows_of(
      R"({"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{"messages":[)"
      R"({"role":"user","content":[{"type":"text","text":"one "},{"type":"text","text":"two"}]},)"
      R"({"role":"assistant","content":null,"reasoning_content":"hm","tool_calls":[{"id":"c",)"
      R"("type":"function","function":{"name":"f","arguments":"{\"x\":1}"}}]},)"
      R"({"role":"tool","tool_call_id":"c","content":"3"}]}})");
  ASSERT_EQ(rows.size(), 1U);
  ASSERT_FALSE(rows[0].fault) << rows[0].fault->message;
  ASSERT_EQ(rows[0].messages.size(), 3U);
  EXPECT_EQ(rows[0].messages[0].content, "one two");
  EXPECT_EQ(rows[0].messages[1].thinking, "hm");
  ASSERT_EQ(rows[0].messages[1].tool_calls.size(), 1U);
  EXPECT_EQ(rows[0].messages[1].tool_calls[0].arguments_json, "{\"x\":1}");
  EXPECT_EQ(rows[0].messages[2].tool_call_id, "c");
}

TEST(BatchInput, ReadsCompletionsAndEmbeddings) {
  const auto rows = rows_of(
      R"({"custom_id":"a","method":"POST","url":"/v1/completions","body":{"prompt":"Once"}})"
      "\n"
      R"({"custom_id":"b","method":"POST","url":"/v1/completions","body":{"prompt":[1,2,3]}})"
      "\n"
      R"({"custom_id":"c","method":"POST","url":"/v1/embeddings","body":{"input":["x","y"],)"
      R"("encoding_format":"base64","dimensions":8}})");
  ASSERT_EQ(rows.size(), 3U);
  for (const Row& row : rows) EXPECT_FALSE(row.fault) << row.fault->message;
  EXPECT_EQ(rows[0].prompt, "Once");
  EXPECT_EQ(rows[1].token_ids, (std::vector<TokenId>{1, 2, 3}));
  EXPECT_EQ(rows[2].texts, (std::vector<std::string>{"x", "y"}));
  EXPECT_TRUE(rows[2].base64);
  EXPECT_EQ(rows[2].embed.dimensions, 8);
}

TEST(BatchInput, NamesWhatIsWrong) {
  const std::pair<std::string, std::string> cases[] = {
      {"{", "JSON"},
      {"[]", "object"},
      {std::string(100, '['), "deeper"},
      {R"({"custom_id":"a","method":"POST","url":"/v1/x","body":{}})", "/v1/x"},
      {R"({"custom_id":"a","method":"GET","url":"/v1/completions","body":{}})", "method"},
      {R"({"method":"POST","url":"/v1/completions","body":{"prompt":"x"}})", "custom_id"},
      {R"({"custom_id":7,"method":"POST","url":"/v1/completions","body":{}})", "custom_id"},
      {R"({"custom_id":"a","method":"POST","url":"/v1/completions","body":{"prompt":"x"},"z":1})",
       "'z'"},
      {R"({"custom_id":"a","method":"POST","url":"/v1/completions"})", "body"},
      {R"({"custom_id":"a","method":"POST","url":"/v1/completions","body":{}})", "prompt"},
      {R"({"custom_id":"a","method":"POST","url":"/v1/completions","body":{"prompt":["a","b"]}})",
       "several prompts"},
      {R"({"custom_id":"a","method":"POST","url":"/v1/completions","body":{"prompt":"a","messages":[]}})",
       "messages"},
      {R"({"custom_id":"a","method":"POST","url":"/v1/embeddings","body":{"input":[1,2]}})",
       "input"},
      {chat_line("a", R"(,"temprature":1)"), "'temprature'"},
      {chat_line("a", R"(,"temperature":-1)"), "temperature"},
      {chat_line("a", R"(,"temperature":"1")"), "temperature"},
      {chat_line("a", R"(,"max_tokens":0)"), "max_tokens"},
      {chat_line("a", R"(,"max_tokens":1e3)"), "max_tokens"},
      {chat_line("a", R"(,"max_tokens":5,"max_completion_tokens":6)"), "contradict"},
      {chat_line("a", R"(,"n":2)"), "'n'"},
      {chat_line("a", R"(,"stream":true)"), "stream"},
      {chat_line("a", R"(,"logprobs":true)"), "logprobs"},
      {chat_line("a", R"(,"tools":[{}])"), "tools"},
      {chat_line("a", R"(,"response_format":{"type":"json_object"})"), "response_format"},
      {chat_line("a", R"(,"logit_bias":{"x":1})"), "logit_bias"},
      {chat_line("a", R"(,"logit_bias":{"1":101})"), "logit_bias"},
      {chat_line("a", R"(,"stop":[""])"), "stop"},
      {chat_line("a", R"(,"seed":1.5)"), "seed"},
      {R"({"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{"messages":[]}})",
       "messages"},
      {R"({"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{"messages":[)"
       R"({"role":"user","content":[{"type":"image_url"}]}]}})",
       "message 1"},
      {R"({"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{"messages":[)"
       R"({"role":"user","content":"x"},{"content":"x"}]}})",
       "message 2"},
      {"{\"custom_id\":\"a\xFF\"}", "JSON"},
  };
  for (const auto& [line, word] : cases) {
    EXPECT_NE(fault_of(line).find(word), std::string::npos)
        << line << "\nsays: " << fault_of(line) << "\nnot: " << word;
  }
}

TEST(BatchInput, AnIdThatStandsTwiceIsAFaultOfTheSecond) {
  const auto rows = rows_of(chat_line("a") + "\n\n" + chat_line("b") + "\n" + chat_line("a"));
  ASSERT_EQ(rows.size(), 3U);
  EXPECT_FALSE(rows[0].fault);
  ASSERT_TRUE(rows[2].fault);
  EXPECT_EQ(rows[2].line, 4);
  EXPECT_NE(rows[2].fault->message.find("line 1"), std::string::npos);
}

TEST(BatchInput, FaultsAreReportedTogetherWithTheirNumbers) {
  const auto rows = rows_of(chat_line("a", R"(,"x":1)") + "\n" + chat_line("b") + "\nnonsense\n");
  const auto report = report_faults(rows, false);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, ErrorCode::kUsage);
  for (const char* word : {"2 of 3", "line 1 (a)", "'x'", "line 3", "JSON", "--keep-going"}) {
    EXPECT_NE(report.error().message.find(word), std::string::npos) << word;
  }
  EXPECT_TRUE(report_faults(std::span(rows).subspan(1, 1), false));
}

TEST(BatchInput, TextLinesGoThroughTheTemplate) {
  PromptForm form;
  form.system = "Be short";
  form.prompt_template = "{text}? {text}!";
  const auto rows = read_text_lines("a\n\n {text}\r\n", form);
  ASSERT_TRUE(rows);
  ASSERT_EQ(rows->size(), 2U);
  EXPECT_EQ((*rows)[0].custom_id, "line-1");
  EXPECT_EQ((*rows)[1].custom_id, "line-3");
  ASSERT_EQ((*rows)[0].messages.size(), 2U);
  EXPECT_EQ((*rows)[0].messages[0].content, "Be short");
  EXPECT_EQ((*rows)[0].messages[1].content, "a? a!");
  EXPECT_EQ((*rows)[1].messages[1].content, " {text}?  {text}!");  // put in once, not again
  form.raw = true;
  EXPECT_EQ((*read_text_lines("a", form))[0].prompt, "a? a!");
}

TEST(BatchInput, KnowsTheFormsApart) {
  const test::TemporaryFolder folder;
  const auto write = [&](const std::string& name, const std::string& text) {
    std::ofstream(folder.file(name)) << text;
    return folder.file(name);
  };
  EXPECT_EQ(read_input(write("a.jsonl", chat_line("a")), {})->form, InputForm::kJsonLines);
  EXPECT_EQ(read_input(write("b", chat_line("a")), {})->form, InputForm::kJsonLines);
  EXPECT_EQ(read_input(write("c.txt", "{is this JSON?}"), {})->form, InputForm::kTextLines);
  const auto texts = read_input(folder.path(), {});
  ASSERT_TRUE(texts);
  EXPECT_EQ(texts->form, InputForm::kFolder);
  ASSERT_EQ(texts->rows.size(), 1U);
  EXPECT_EQ(texts->rows[0].custom_id, "c");
  const std::string before = texts->sha256;
  write("d.txt", "");
  EXPECT_TRUE(read_input(folder.path(), {})->rows[1].fault);
  EXPECT_NE(read_input(folder.path(), {})->sha256, before);
  EXPECT_EQ(read_input(folder.file("none"), {}).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(read_input(write("e.txt", "\n\n"), {}).error().code, ErrorCode::kUsage);
}

}  // namespace
}  // namespace llmrun::batch
