// JSON for commands, with keys in the order they are written. Only for .cpp files: the library's
// header is heavy.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace llmrun::cli {

using Json = nlohmann::ordered_json;

// Never throws: bytes that are no UTF-8 become U+FFFD. indent -1: one line.
inline std::string to_text(const Json& json, int indent = -1) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

}  // namespace llmrun::cli
