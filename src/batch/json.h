// JSON of this layer, with keys in the order they are written. Only for .cpp files: the library's
// header is heavy.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace llmrun::batch {

using Json = nlohmann::ordered_json;

// Never throws: bytes that are no UTF-8 become U+FFFD.
inline std::string to_text(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace llmrun::batch
