// Names of models; see model_name.h.
#include "store/model_name.h"

#include <algorithm>

#include "base/error.h"

namespace llmrun::store {
namespace {

constexpr size_t kMaxPart = 80;

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

bool is_valid_part(std::string_view part) {
  if (part.empty() || part.size() > kMaxPart || !is_word(part.front())) return false;
  return std::all_of(part.begin(), part.end(),
                     [](char c) { return is_word(c) || c == '-' || c == '.'; });
}

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return result;
}

}  // namespace

Result<ModelName> parse_model_name(std::string_view text) {
  ModelName name;
  const size_t colon = text.rfind(':');
  name.model = lower(text.substr(0, colon));
  if (colon != std::string_view::npos) {
    name.tag = lower(text.substr(colon + 1));
    name.has_tag = true;
  }
  if (!is_valid_part(name.model) || !is_valid_part(name.tag)) {
    return make_error(ErrorCode::kUsage,
                      "\"{}\" is not a model name; write it like smollm2:135m, or give the path of "
                      "a GGUF file",
                      text);
  }
  return name;
}

}  // namespace llmrun::store
