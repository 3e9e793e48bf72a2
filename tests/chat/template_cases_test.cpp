// Renders compared with Jinja2's: real models' templates, and small cases for every construct.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "chat/chat_template.h"
#include "paths.h"

namespace llmrun::chat {
namespace {

using Json = nlohmann::ordered_json;

Json load(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return Json::parse(text.str(), nullptr, false);
}

Result<RenderedText> render(const std::string& source, const Json& variables,
                            const std::string& now) {
  auto compiled = ChatTemplate::compile(source, "test");
  if (!compiled) return tl::unexpected<Error>(compiled.error());
  const std::string json = variables.dump();
  JsonRenderInput input;
  input.case_json = json;
  input.bos_token = "<s>";
  input.eos_token = "</s>";
  auto time = parse_iso_time(now);
  if (time) input.now = *time;
  return compiled->render_json(input);
}

// Returns how many renders were compared.
size_t check_golden(const Json& golden) {
  size_t count = 0;
  const std::string now = golden["settings"]["now"];
  for (const auto& [name, entry] : golden["templates"].items()) {
    for (const auto& [case_name, expected] : entry["results"].items()) {
      SCOPED_TRACE(name + " / " + case_name);
      ++count;
      const auto result = render(entry["template"], golden["cases"][case_name], now);
      if (expected["ok"]) {
        if (!result) {
          ADD_FAILURE() << result.error().context << ": " << result.error().message;
          continue;
        }
        EXPECT_EQ(result->text, expected["text"].get<std::string>());
        continue;
      }
      const std::string wanted = expected["error"];
      const std::string message = wanted.substr(wanted.find(": ") + 2);
      EXPECT_FALSE(result.has_value());
      if (!result) {
        EXPECT_NE(result.error().message.find(message), std::string::npos)
            << result.error().message;
      }
    }
  }
  return count;
}

TEST(TemplateGolden, RealTemplatesRenderLikeJinja2) {
  const std::filesystem::path path =
      std::filesystem::path(tests::kSharedDir) / "golden/templates/templates.json";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "skipped: no ../shared";
  EXPECT_EQ(check_golden(load(path)), 473U);
}

TEST(TemplateGolden, ReducedSetRendersLikeJinja2) {
  const Json golden =
      load(std::filesystem::path(tests::kSourceDir) / "tests/data/templates/real.json");
  ASSERT_FALSE(golden.is_discarded());
  EXPECT_GE(check_golden(golden), 75U);
}

// Made by make_jinja_cases.py: {"cases": [{"template", "variables", "output" or "error"}]}.
TEST(TemplateCases, EveryConstructBehavesLikeJinja2) {
  const Json cases =
      load(std::filesystem::path(tests::kSourceDir) / "tests/data/templates/jinja_cases.json");
  ASSERT_FALSE(cases.is_discarded());
  ASSERT_GE(cases["cases"].size(), 300U);
  for (const Json& entry : cases["cases"]) {
    const std::string source = entry["template"];
    SCOPED_TRACE(source);
    const auto result = render(source, cases["variables"], "2026-01-02T03:04:05");
    if (entry.contains("output")) {
      if (!result) {
        ADD_FAILURE() << result.error().context << ": " << result.error().message;
        continue;
      }
      EXPECT_EQ(result->text, entry["output"].get<std::string>());
    } else {
      EXPECT_FALSE(result.has_value()) << result->text << "\nJinja2: " << entry["error"];
    }
  }
}

}  // namespace
}  // namespace llmrun::chat
