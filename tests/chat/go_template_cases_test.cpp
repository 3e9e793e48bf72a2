// Go templates compared with Go's own text/template: stored results for every construct, and, where
// the go program is installed, random templates against it.
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>

#include "chat/chat_template.h"
#include "paths.h"

namespace llmrun::chat {
namespace {

using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

Json load(const fs::path& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return Json::parse(text.str(), nullptr, false);
}

Json stored() {
  return load(fs::path(tests::kSourceDir) / "tests" / "data" / "go_templates" / "cases.json");
}

Result<std::string> render(const std::string& source, const std::string& data) {
  auto compiled = ChatTemplate::compile(source, "test", {}, TemplateLanguage::kGo);
  if (!compiled) return tl::unexpected<Error>(compiled.error());
  JsonRenderInput input;
  input.case_json = data;
  auto rendered = compiled->render_json(input);
  if (!rendered) return tl::unexpected<Error>(rendered.error());
  return rendered->text;
}

void check(const Json& one, const std::string& data) {
  const std::string source = one["template"];
  SCOPED_TRACE(one["name"].get<std::string>() + ": " + source);
  const Result<std::string> result = render(source, data);
  if (one.contains("error")) {
    EXPECT_FALSE(result.has_value()) << "gave " << *result;
    if (!result) {
      EXPECT_NE(result.error().context.find("chat template of test"), std::string::npos);
    }
    return;
  }
  ASSERT_TRUE(result.has_value()) << result.error().context << ": " << result.error().message;
  EXPECT_EQ(*result, one["text"].get<std::string>());
}

TEST(GoTemplateCases, StoredResults) {
  const Json cases = stored();
  ASSERT_TRUE(cases.is_object());
  ASSERT_GT(cases["cases"].size(), 90U);
  const std::string data = cases["data"].dump();
  for (const Json& one : cases["cases"]) check(one, data);
}

// ---- against the go program ---------------------------------------------------------------------

// Writes templates by a small grammar; about half of them are sound.
class Writer {
 public:
  explicit Writer(uint32_t seed) : random_(seed) {}

  std::string block(int depth) {
    std::string text;
    for (int n = pick(4) + 1; n > 0; --n) text += piece(depth);
    return text;
  }

 private:
  int pick(int n) { return static_cast<int>(random_() % static_cast<uint32_t>(n)); }
  std::string one_of(std::initializer_list<const char*> words) {
    return words.begin()[pick(static_cast<int>(words.size()))];
  }
  std::string action(const std::string& inside) {
    return one_of({"{{", "{{ ", "{{- "}) + inside + one_of({"}}", " }}", " -}}"});
  }
  std::string operand(int depth) {
    if (depth > 0 && pick(4) == 0) return "(" + pipeline(depth - 1) + ")";
    return one_of({".System", ".n",   ".f",     ".t",        ".no", ".nil",  ".none",
                   ".strs",   ".map", ".map.a", ".Messages", "1",   "2.5",   "\"a\"",
                   "`x y`",   "true", "$",      "$.n",       ".",   ".list", "0",
                   "-1",      "$x",   ".empty", ".zz",       ".s",  "1e21",  "'a'"});
  }
  std::string command(int depth) {
    if (pick(3) == 0) return operand(depth);
    std::string text = one_of({"eq",
                               "ne",
                               "lt",
                               "le",
                               "gt",
                               "ge",
                               "and",
                               "or",
                               "not",
                               "len",
                               "index",
                               "slice",
                               "print",
                               "println",
                               "printf \"%v|%s\"",
                               "printf \"%5d\"",
                               "printf \"%-6v%q\"",
                               "json",
                               "html",
                               "urlquery"});
    for (int n = pick(3) + (pick(8) == 0 ? 0 : 1); n > 0; --n) text += " " + operand(depth);
    return text;
  }
  std::string pipeline(int depth) {
    std::string text = command(depth);
    if (pick(5) == 0)
      text += one_of({" | print", " | len", " | json", " | not", " | printf \"%v\""});
    return text;
  }
  std::string piece(int depth) {
    const int kind = pick(depth > 0 ? 12 : 6);
    if (kind < 2) return one_of({"a", " b ", "\n", "  \n\t", "c\n", "é"});
    if (kind < 5) return action(pipeline(depth));
    if (kind == 5) return action("$x := " + pipeline(depth)) + action("$x");
    const std::string end = action("end");
    if (kind < 8) {
      const std::string otherwise = pick(2) == 0 ? action("else") + block(depth - 1) : "";
      return action("if " + pipeline(depth)) + block(depth - 1) + otherwise + end;
    }
    if (kind == 8) return action("with " + pipeline(depth)) + block(depth - 1) + end;
    const std::string over = one_of({".strs", ".Messages", ".map", ".list", ".none", ".nil", ".n"});
    const std::string header = one_of({"range ", "range $x := ", "range $i, $x := "}) + over;
    const std::string stop = pick(4) == 0 ? action(one_of({"break", "continue"})) : "";
    return action(header) + block(depth - 1) + stop + end;
  }

  std::mt19937 random_;
};

bool has_go() { return std::system("go version >/dev/null 2>&1") == 0; }  // NOLINT

TEST(GoTemplateCases, RandomTemplatesAgainstGo) {
  if (!has_go()) GTEST_SKIP() << "the go program (Debian package golang-go) is not installed";
  Json data = stored()["data"];
  data["list"] = {1, "two", true, {3, 4}};  // without nil, over which versions of Go differ
  Json cases = Json::array();
  for (uint32_t seed = 0; seed < 2000; ++seed) {
    const std::string source = "{{ $x := 1 }}" + Writer(seed).block(3);
    cases.push_back({{"name", std::to_string(seed)}, {"template", source}, {"data", data}});
  }
  const fs::path folder = fs::path(testing::TempDir()) / "go_template_cases";
  fs::create_directories(folder);
  std::ofstream(folder / "in.json") << cases.dump();
  const std::string command =
      "cd '" + folder.string() + "' && HOME=${HOME:-/tmp} go run '" +
      (fs::path(tests::kSourceDir) / "tests" / "chat" / "go_reference.go").string() +
      "' < in.json > out.json";
  ASSERT_EQ(std::system(command.c_str()), 0);  // NOLINT
  const Json results = load(folder / "out.json");
  ASSERT_EQ(results.size(), cases.size());
  int n_good = 0;
  const std::string data_text = data.dump();
  for (const Json& one : results) {
    check(one, data_text);
    n_good += one.contains("error") ? 0 : 1;
    if (HasFailure()) return;  // one at a time
  }
  EXPECT_GT(n_good, 300);
}

}  // namespace
}  // namespace llmrun::chat
