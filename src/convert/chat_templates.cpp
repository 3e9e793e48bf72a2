// Finds the file that has the templates.
#include "convert/chat_templates.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file_io.h"
#include "convert/limits.h"
#include "convert/tokenizer/vocabulary.h"

namespace llmrun::convert {
namespace {

constexpr const char* kKey = "tokenizer.chat_template";

bool is_plain_name(const std::string& name) {
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  });
}

// "chat_template": a text, or a list of {"name", "template"}. False when there is none.
bool write_templates(const Json& document, gguf::Writer& writer) {
  const Json* templates = member(document, "chat_template");
  if (templates == nullptr) return false;
  if (templates->is_string()) {
    writer.add_metadata(kKey, templates->get_ref<const std::string&>());
    return true;
  }
  if (!templates->is_array()) return false;
  std::vector<std::string> names;
  for (const Json& one : *templates) {
    const std::string name = text_of(one, "name");
    const bool is_new = std::find(names.begin(), names.end(), name) == names.end();
    if (!is_plain_name(name) || !is_new) continue;
    names.push_back(name);
    writer.add_metadata(name == "default" ? kKey : fmt::format("{}.{}", kKey, name),
                        text_of(one, "template"));
  }
  return !names.empty();
}

}  // namespace

Result<void> write_chat_templates(const std::string& folder, gguf::Writer& writer) {
  std::error_code error;
  const std::string plain = folder + "/chat_template.jinja";
  if (std::filesystem::exists(plain, error)) {
    LLMRUN_ASSIGN(const std::string text, read_file(plain, kMaxTemplateBytes));
    writer.add_metadata(kKey, text);
    return {};
  }
  for (const char* name : {"/chat_template.json", "/tokenizer_config.json"}) {
    LLMRUN_ASSIGN(const JsonDocument document, read_json_if_there(folder + name, kMaxConfigBytes));
    if (document != nullptr && write_templates(*document, writer)) return {};
  }
  return {};
}

}  // namespace llmrun::convert
