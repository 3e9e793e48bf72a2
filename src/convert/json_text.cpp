// A scan for depth before the parser, which keeps every later walk over the document shallow.
#include "convert/json_text.h"

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file_io.h"
#include "base/json_depth.h"
#include "convert/limits.h"

namespace llmrun::convert {
Result<JsonDocument> parse_json(std::string_view text, const std::string& path) {
  if (json_is_deeper_than(text, kMaxJsonDepth)) {
    return with_context({ErrorCode::kBadModel,
                         fmt::format("JSON nested deeper than {} levels; no model writes such a "
                                     "file",
                                     kMaxJsonDepth),
                         {}},
                        path);
  }
  try {
    return std::make_shared<const Json>(Json::parse(text));
  } catch (const Json::parse_error& error) {
    return with_context({ErrorCode::kBadModel,
                         fmt::format("no valid JSON at byte {}; the file is damaged or was cut "
                                     "short: fetch it again",
                                     error.byte),
                         {}},
                        path);
  } catch (const Json::exception&) {  // a number past what a double holds
    return with_context({ErrorCode::kBadModel, "JSON with a number out of range", {}}, path);
  }
}

Result<JsonDocument> read_json(const std::string& path, uint64_t max_bytes) {
  LLMRUN_ASSIGN(const std::string text, read_file(path, max_bytes));
  return parse_json(text, path);
}

Result<JsonDocument> read_json_if_there(const std::string& path, uint64_t max_bytes) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return JsonDocument();
  return read_json(path, max_bytes);
}

}  // namespace llmrun::convert
