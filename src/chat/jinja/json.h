// JSON in (messages, tools, variables) and out (|tojson), the latter byte for byte as Python's
// json.dumps writes it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "chat/jinja/heap.h"
#include "chat/jinja/value.h"

namespace llmrun::chat::jinja {

struct JsonStyle {
  bool ensure_ascii = false;
  bool sort_keys = false;
  std::optional<std::string> indent;  // per level; none: everything on one line
  std::string item_separator = ", ";
  std::string key_separator = ": ";
};

Result<void> write_json(Heap& heap, TextBuilder& out, const Value& value, const JsonStyle& style,
                        int depth = 0);

// `what` names the text in errors ("the tools"). All strings of the result are untrusted.
Result<Value> parse_json(Heap& heap, std::string_view json, std::string_view what);

}  // namespace llmrun::chat::jinja
