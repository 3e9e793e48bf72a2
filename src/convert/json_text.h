// Parses JSON from outside: bounded size and depth, a typed error with the byte where it is wrong.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "llmrun/error.h"

namespace llmrun::convert {

using Json = nlohmann::json;
// Shared, so that a part of a document can be handed on without a copy.
using JsonDocument = std::shared_ptr<const Json>;

// kBadModel when the text is no JSON, or nested deeper than kMaxJsonDepth. `path` is for the error.
Result<JsonDocument> parse_json(std::string_view text, const std::string& path);

// The same of a file of at most max_bytes. kNotFound when there is none.
Result<JsonDocument> read_json(const std::string& path, uint64_t max_bytes);
// The same, but null when there is no such file.
Result<JsonDocument> read_json_if_there(const std::string& path, uint64_t max_bytes);

}  // namespace llmrun::convert
