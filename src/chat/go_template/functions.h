// The functions that Go templates can call: Go's own, and those that Ollama adds.
#pragma once

#include <ctime>
#include <optional>
#include <span>
#include <string_view>

#include "chat/go_template/value.h"

namespace llmrun::chat::go_template {

enum class Function : uint8_t {
  kAnd,
  kOr,
  kNot,
  kEq,
  kNe,
  kLt,
  kLe,
  kGt,
  kGe,
  kLen,
  kIndex,
  kSlice,
  kPrint,
  kPrintln,
  kPrintf,
  kHtml,
  kUrlQuery,
  kJson,
  kCurrentDate,
  kYesterdayDate,
  kToTypeScriptType,
};

std::optional<Function> find_function(std::string_view name);

struct CallContext {
  std::tm now{};
  uint64_t max_bytes = 0;  // of a text that a call makes
};
// All but `and` and `or`, which do not evaluate all their arguments. Errors have no place.
Result<Value> call(Function function, std::span<const Value> arguments, const CallContext& context);

// printf's part: the format's text comes first among the arguments.
Result<Value> format(std::span<const Value> arguments, uint64_t max_bytes);

}  // namespace llmrun::chat::go_template
