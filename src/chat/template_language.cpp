// Tells Go templates from Jinja ones, for files that do not say what they are.
#include <algorithm>
#include <array>

#include "chat/chat_template.h"

namespace llmrun::chat {
namespace {

constexpr std::string_view kBlanks = " \t\r\n";

bool starts_like_go(std::string_view action) {
  action.remove_prefix(std::min(action.find_first_not_of(kBlanks), action.size()));
  if (action.empty()) return false;
  if (action.front() == '.' || action.front() == '$' || action.starts_with("/*")) return true;
  constexpr std::array<std::string_view, 10> kWords = {
      "if", "range", "with", "else", "end", "define", "template", "block", "break", "continue"};
  const size_t end = std::min(action.find_first_of(" \t\r\n}-"), action.size());
  const std::string_view word = action.substr(0, end);
  // `{{ end }}` closes a block in Go, and prints a variable in Jinja: nobody does that.
  return std::find(kWords.begin(), kWords.end(), word) != kWords.end();
}

}  // namespace

TemplateLanguage guess_template_language(std::string_view source) {
  if (source.find("{%") != std::string_view::npos) return TemplateLanguage::kJinja;
  for (size_t at = 0; (at = source.find("{{", at)) != std::string_view::npos;) {
    at += 2;
    if (at < source.size() && source[at] == '-') ++at;
    if (starts_like_go(source.substr(at))) return TemplateLanguage::kGo;
  }
  return TemplateLanguage::kJinja;
}

}  // namespace llmrun::chat
