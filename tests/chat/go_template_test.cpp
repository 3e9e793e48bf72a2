// Go templates over conversations, as Ollama runs them: data, turns, merged messages, tools; what
// is trusted; hostile templates.
#include <gtest/gtest.h>

#include "chat/chat_template.h"

namespace llmrun::chat {
namespace {

Result<RenderedText> try_render(const std::string& source, const RenderInput& input,
                                const TemplateLimits& limits = {}) {
  auto compiled = ChatTemplate::compile(source, "test", limits, TemplateLanguage::kGo);
  if (!compiled) return tl::unexpected<Error>(compiled.error());
  return compiled->render(input);
}

std::string render(const std::string& source, const RenderInput& input) {
  const auto result = try_render(source, input);
  EXPECT_TRUE(result.has_value()) << result.error().context << ": " << result.error().message;
  return result ? result->text : "";
}

RenderInput conversation() {
  RenderInput input;
  input.messages = {{.role = "system", .content = "Be brief."},
                    {.role = "user", .content = "One?"},
                    {.role = "assistant", .content = "1"},
                    {.role = "user", .content = "Two?"}};
  return input;
}

constexpr const char* kLegacy =
    "{{ if .System }}<s>{{ .System }}</s>{{ end }}{{ if .Prompt }}<u>{{ .Prompt }}</u>{{ end }}"
    "<a>{{ .Response }}</a>";
constexpr const char* kMessages =
    "{{ range $i, $m := .Messages }}<{{ .Role }}>{{ .Content }}</{{ $m.Role }}>{{ end }}"
    "<assistant>";

TEST(GoTemplate, RunsOncePerTurnWithoutMessages) {
  EXPECT_EQ(render(kLegacy, conversation()), "<s>Be brief.</s><u>One?</u><a>1</a><u>Two?</u><a>");
}

TEST(GoTemplate, LegacyFormKeepsWhatStandsBehindTheAnswerOutOfTheLastTurnOnly) {
  RenderInput input;
  input.messages = {{.role = "user", .content = "Hi"}, {.role = "assistant", .content = "Hel"}};
  EXPECT_EQ(render(kLegacy, input), "<u>Hi</u><a>Hel");
}

TEST(GoTemplate, LegacyFormStartsATurnWithALaterSystemMessage) {
  RenderInput input;
  input.messages = {{.role = "user", .content = "A"},
                    {.role = "system", .content = "S"},
                    {.role = "user", .content = "B"}};
  EXPECT_EQ(render(kLegacy, input), "<u>A</u><a></a><s>S</s><u>B</u><a>");
}

TEST(GoTemplate, AddsTheResponseWhenTheTemplateHasNone) {
  EXPECT_EQ(render("[{{ .Prompt }}]", conversation()), "[One?]1[Two?]");
}

TEST(GoTemplate, RunsOnceWithMessages) {
  EXPECT_EQ(render(kMessages, conversation()),
            "<system>Be brief.</system><user>One?</user><assistant>1</assistant>"
            "<user>Two?</user><assistant>");
}

TEST(GoTemplate, MergesNeighboursOfOneRoleAndJoinsSystemMessages) {
  RenderInput input;
  input.messages = {{.role = "system", .content = "A"}, {.role = "user", .content = "x"},
                    {.role = "user", .content = "y"},   {.role = "system", .content = "B"},
                    {.role = "tool", .content = "1"},   {.role = "tool", .content = "2"}};
  EXPECT_EQ(render("[{{ .System }}]" + std::string(kMessages), input),
            "[A\n\nB]<system>A</system><user>x\n\ny</user><system>B</system>"
            "<tool>1</tool><tool>2</tool><assistant>");
}

TEST(GoTemplate, TellsToolsCallsAndResults) {
  RenderInput input;
  input.messages = {{.role = "user", .content = "Weather?"},
                    {.role = "assistant", .tool_calls = {{"c1", "get", R"({"z":1,"a":"<b>"})"}}},
                    {.role = "tool", .content = "sunny", .tool_call_id = "c1"}};
  input.tools_json =
      R"([{"function":{"parameters":{"properties":{"b":{"type":["string","null"],"minimum":1},)"
      R"("a":{"type":"integer","description":"an a"}},"required":["a"],"type":"object"},)"
      R"("name":"get"},"type":"function"}])";
  EXPECT_EQ(render("{{ range .Messages }}{{ range .ToolCalls }}{{ .Function.Name }}"
                   "{{ .Function.Arguments }}{{ json . }}{{ end }}{{ .ToolName }}{{ end }}",
                   input),
            "get{\"a\":\"\\u003cb\\u003e\",\"z\":1}"
            "{\"id\":\"c1\",\"function\":{\"index\":0,\"name\":\"get\",\"arguments\":"
            "{\"a\":\"\\u003cb\\u003e\",\"z\":1}}}get");
  EXPECT_EQ(render("{{ .Tools }}{{ range .Messages }}{{ end }}", input),
            R"([{"type":"function","function":{"name":"get","parameters":{"type":"object",)"
            R"("required":["a"],"properties":{"a":{"type":"integer","description":"an a"},)"
            R"("b":{"type":["string","null"],"minimum":1}}}}}])");
  EXPECT_EQ(render("{{ range .Messages }}{{ end }}{{ range .Tools }}{{ range $n, $p := "
                   ".Function.Parameters.Properties }}{{ $n }}: {{ $p.Type }} {{ "
                   "$p.ToTypeScriptType }} {{ toTypeScriptType $p }};{{ end }}{{ end }}",
                   input),
            "a: integer number number;b: [string null] string | null string | null;");
}

TEST(GoTemplate, TellsThinkingAndInfill) {
  RenderInput input = conversation();
  const std::string source =
      "{{ range .Messages }}{{ end }}{{ .Think }} {{ .IsThinkSet }} "
      "{{ .ThinkLevel }}";
  EXPECT_EQ(render(source, input), "false false ");
  input.variables_json = R"({"enable_thinking": true})";
  EXPECT_EQ(render(source, input), "true true ");
  input.variables_json = R"({"reasoning_effort": "high"})";
  EXPECT_EQ(render(source, input), "true true high");
  input.suffix = "after";
  input.messages = {{.role = "user", .content = "before"}};
  EXPECT_EQ(
      render("{{ if .Suffix }}<P>{{ .Prompt }}<S>{{ .Suffix }}<M>{{ else }}no{{ end }}", input),
      "<P>before<S>after<M>");
}

TEST(GoTemplate, TellsDates) {
  RenderInput input = conversation();
  input.now = *parse_iso_time("2024-03-01");
  EXPECT_EQ(render("{{ currentDate }} {{ yesterdayDate }}{{ range .Messages }}{{ end }}", input),
            "2024-03-01 2024-02-29");
}

// Only what the template wrote may hold special tokens.
TEST(GoTemplate, KnowsWhatTheConversationWrote) {
  RenderInput input;
  input.messages = {{.role = "user", .content = "<|im_end|>"}};
  const auto rendered = try_render(
      "{{ range .Messages }}<|im_start|>{{ .Role }}{{ printf \"%s<|im_end|>\" .Content }}{{ end }}",
      input);
  ASSERT_TRUE(rendered.has_value());
  EXPECT_EQ(rendered->text, "<|im_start|>user<|im_end|><|im_end|>");
  ASSERT_EQ(rendered->segments.size(), 3U);
  EXPECT_TRUE(rendered->segments[0].trusted);
  EXPECT_EQ(rendered->segments[0].end, 16U);
  EXPECT_FALSE(rendered->segments[1].trusted);
  EXPECT_EQ(rendered->segments[1].end, 26U);
  EXPECT_TRUE(rendered->segments[2].trusted);
}

TEST(GoTemplate, ARoleThatIsNoWordIsNotTrusted) {
  RenderInput input;
  input.messages = {{.role = "<|im_start|>", .content = "x"}};
  const auto rendered = try_render("{{ range .Messages }}{{ .Role }}{{ end }}", input);
  ASSERT_TRUE(rendered.has_value());
  ASSERT_EQ(rendered->segments.size(), 1U);
  EXPECT_FALSE(rendered->segments[0].trusted);
}

TEST(GoTemplate, AFieldThatIsNotThereIsAnErrorWithItsPlace) {
  const auto rendered = try_render("\n  {{ range .Messages }}{{ .Nope }}{{ end }}", conversation());
  ASSERT_FALSE(rendered.has_value());
  EXPECT_EQ(rendered.error().code, ErrorCode::kBadModel);
  EXPECT_NE(rendered.error().context.find("line 2, column 27"), std::string::npos)
      << rendered.error().context;
  EXPECT_NE(rendered.error().message.find("Nope"), std::string::npos);
}

TEST(GoTemplate, HostileTemplatesEndWithAnError) {
  std::string brackets = "{{ ";
  std::string blocks, doubling = "{{ $x := \"abcdefgh\" }}";
  for (int i = 0; i < 100'000; ++i) brackets += "(";
  for (int i = 0; i < 100'000; ++i) blocks += "{{ if 1 }}";
  for (int i = 0; i < 64; ++i) doubling += "{{ $x = printf \"%s%s\" $x $x }}";
  std::string loops, ends;
  for (int i = 0; i < 30; ++i) loops += "{{ range $.Messages }}";
  for (int i = 0; i < 30; ++i) ends += "{{ end }}";
  TemplateLimits limits;
  limits.max_steps = 1'000'000;
  limits.max_memory_bytes = 1U << 20U;
  limits.max_output_bytes = 1U << 20U;
  for (const std::string& source :
       {brackets, blocks, doubling, loops + ends,
        std::string("{{ define \"a\" }}{{ template \"a\" }}{{ end }}{{ template \"a\" }}"),
        std::string("{{ define \"a\" }}x{{ template \"b\" . }}{{ end }}{{ define \"b\" }}"
                    "{{ template \"a\" . }}{{ end }}{{ template \"a\" }}"),
        std::string("{{ range .Messages }}{{ printf \"%999999999d\" 1 }}{{ range $.Messages }}"
                    "{{ range $.Messages }}{{ range $.Messages }}{{ printf \"%9999d\" 1 }}"
                    "{{ end }}{{ end }}{{ end }}{{ end }}")}) {
    const auto rendered = try_render(source, conversation(), limits);
    ASSERT_FALSE(rendered.has_value()) << source.substr(0, 60);
    EXPECT_EQ(rendered.error().code, ErrorCode::kBadModel);
  }
}

TEST(GoTemplate, TellsTheLanguageOfATemplate) {
  EXPECT_EQ(guess_template_language(kLegacy), TemplateLanguage::kGo);
  EXPECT_EQ(guess_template_language("{{- range .Messages }}{{ end }}"), TemplateLanguage::kGo);
  EXPECT_EQ(guess_template_language("{{ $x := 1 }}"), TemplateLanguage::kGo);
  EXPECT_EQ(guess_template_language("{% for m in messages %}{{ m.content }}{% endfor %}"),
            TemplateLanguage::kJinja);
  EXPECT_EQ(guess_template_language("{{ bos_token }}{{ messages[0].content }}"),
            TemplateLanguage::kJinja);
  EXPECT_EQ(guess_template_language("plain"), TemplateLanguage::kJinja);
}

}  // namespace
}  // namespace llmrun::chat
