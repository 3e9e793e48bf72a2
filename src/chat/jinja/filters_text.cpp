// Filters whose input is a text.
#include <algorithm>

#include "chat/jinja/builtins.h"
#include "chat/jinja/format.h"
#include "chat/jinja/interpreter.h"
#include "chat/jinja/operations.h"
#include "chat/jinja/text_operations.h"
#include "chat/jinja/unicode.h"

namespace llmrun::chat::jinja {
namespace {

template <CaseChange change>
Result<Value> case_filter(Interpreter& interpreter, const Value& input, const Bound&) {
  LLMRUN_ASSIGN(const Value text, text_input(interpreter, input));
  return change_case(interpreter.heap(), text, change);
}

Result<Value> trim_filter(Interpreter& interpreter, const Value& input, const Bound& arguments) {
  LLMRUN_ASSIGN(const Value text, text_input(interpreter, input));
  if (arguments.has(0) && !arguments[0].is_none()) {
    LLMRUN_TRY(text_argument("trim", arguments[0]));
  }
  return strip(interpreter.heap(), text, arguments[0], true, true);
}

Result<Value> replace_filter(Interpreter& interpreter, const Value& input, const Bound& arguments) {
  LLMRUN_ASSIGN(const Value text, text_input(interpreter, input));
  LLMRUN_ASSIGN(const Value old_part, text_input(interpreter, arguments[0]));
  LLMRUN_ASSIGN(const Value new_part, text_input(interpreter, arguments[1]));
  int64_t count = -1;
  if (arguments.has(2) && !arguments[2].is_none()) {
    LLMRUN_ASSIGN(count, integer_argument("replace", arguments[2]));
  }
  return replace(interpreter.heap(), text, old_part, new_part, count);
}

Result<Value> string_filter(Interpreter& interpreter, const Value& input, const Bound&) {
  return text_input(interpreter, input);
}

Result<Value> safe_filter(Interpreter& interpreter, const Value& input, const Bound&) {
  LLMRUN_ASSIGN(const Value text, text_input(interpreter, input));
  return interpreter.heap().text(text.text(), true);
}

Result<Value> escape_filter(Interpreter& interpreter, const Value& input, const Bound&) {
  return escape(interpreter.heap(), input);
}

Result<Value> forceescape_filter(Interpreter& interpreter, const Value& input, const Bound&) {
  LLMRUN_ASSIGN(const Value text, text_input(interpreter, input));
  LLMRUN_ASSIGN(const Value plain, interpreter.heap().text(text.text(), false));
  return escape(interpreter.heap(), plain);
}

Result<Value> indent_filter(Interpreter& interpreter, const Value& input, const Bound& arguments) {
  Heap& heap = interpreter.heap();
  LLMRUN_ASSIGN(const Value text, text_argument("indent", input));
  Value indention;
  if (arguments.has(0) && arguments[0].is_string()) {
    indention = arguments[0];
  } else {
    int64_t width = 4;
    if (arguments.has(0)) {
      LLMRUN_ASSIGN(width, integer_argument("indent", arguments[0]));
    }
    width = std::max<int64_t>(0, width);
    LLMRUN_TRY(heap.require(static_cast<uint64_t>(width)));
    LLMRUN_ASSIGN(indention, heap.text(std::string(static_cast<size_t>(width), ' '), true));
  }
  const bool first = arguments.flag(1, false);
  const bool blank = arguments.flag(2, false);
  // Jinja2 appends a newline before it splits, so that a final one becomes an empty line.
  TextBuilder ended = heap.builder();
  ended.append(text.text());
  ended.append("\n", true);
  LLMRUN_ASSIGN(const Value closed, heap.text(ended));
  LLMRUN_ASSIGN(const std::vector<Value> lines, split_lines(heap, closed, false));
  TextBuilder out = heap.builder();
  for (size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) out.append("\n", text.text().trusted());
    const bool indented = i == 0 ? first : blank || !lines[i].text().empty();
    LLMRUN_TRY(heap.spend_bytes(indention.text().size() + 64));
    if (indented) out.append(indention.text());
    out.append(lines[i].text());
  }
  return heap.text(out, text.as_string().markup());
}

Result<Value> truncate_filter(Interpreter& interpreter, const Value& input,
                              const Bound& arguments) {
  Heap& heap = interpreter.heap();
  LLMRUN_ASSIGN(const Value text, text_argument("truncate", input));
  int64_t length = 255;
  if (arguments.has(0)) {
    LLMRUN_ASSIGN(length, integer_argument("truncate", arguments[0]));
  }
  Value end;
  if (arguments.has(2)) {
    LLMRUN_ASSIGN(end, text_argument("truncate", arguments[2]));
  } else {
    LLMRUN_ASSIGN(end, heap.text("...", true));
  }
  int64_t leeway = 5;
  if (arguments.has(3) && !arguments[3].is_none()) {
    LLMRUN_ASSIGN(leeway, integer_argument("truncate", arguments[3]));
  }
  const auto end_size = static_cast<int64_t>(end.as_string().length());
  if (length < end_size || leeway < 0) {
    return template_error("truncate() needs a length of at least {}", end_size);
  }
  const auto size = static_cast<int64_t>(text.as_string().length());
  if (size <= length || size - length <= leeway) return text;
  std::string_view kept =
      text.view().substr(0, byte_offset(text.view(), static_cast<size_t>(length - end_size)));
  if (!arguments.flag(1, false)) {
    if (const size_t blank = kept.rfind(' '); blank != std::string_view::npos) {
      kept = kept.substr(0, blank);
    }
  }
  TextBuilder out = heap.builder();
  out.append(text.text(), kept);
  out.append(end.text());
  return heap.text(out);
}

Result<Value> center_filter(Interpreter& interpreter, const Value& input, const Bound& arguments) {
  LLMRUN_ASSIGN(const Value text, text_input(interpreter, input));
  int64_t width = 80;
  if (arguments.has(0)) {
    LLMRUN_ASSIGN(width, integer_argument("center", arguments[0]));
  }
  LLMRUN_ASSIGN(const Value blank, interpreter.heap().text(" ", true));
  return justify(interpreter.heap(), text, width, blank, '^');
}

Result<Value> wordcount_filter(Interpreter& interpreter, const Value& input, const Bound&) {
  LLMRUN_ASSIGN(const Value text, text_input(interpreter, input));
  const std::string_view view = text.view();
  LLMRUN_TRY(interpreter.heap().spend_bytes(view.size()));
  int64_t words = 0;
  bool inside = false;
  for (size_t at = 0; at < view.size();) {
    const CodePoint point = decode_at(view, at);
    const bool word = point.value != CodePoint::kInvalid && is_word(point.value);
    if (word && !inside) ++words;
    inside = word;
    at += point.bytes;
  }
  return Value(words);
}

// "%s and %s"|format(a, b).
Result<Value> format_filter(Interpreter& interpreter, const Value& input, const Bound& arguments) {
  Heap& heap = interpreter.heap();
  LLMRUN_ASSIGN(const Value text, text_input(interpreter, input));
  const CallArguments& given = arguments.raw;
  if (!given.positional.empty() && !given.named.empty()) {
    return template_error("format() takes positional or named arguments, not both");
  }
  if (given.named.empty()) {
    LLMRUN_ASSIGN(const Value values, heap.list(given.positional, ObjectKind::kTuple));
    return format_percent(heap, text, values);
  }
  LLMRUN_ASSIGN(DictObject * dict, heap.dict());
  for (const auto& [name, value] : given.named) LLMRUN_TRY(heap.set(*dict, name, true, value));
  return format_percent(heap, text, Value(dict));
}

constexpr FilterEntry kFilters[] = {
    {"upper", "", case_filter<CaseChange::kUpper>},
    {"lower", "", case_filter<CaseChange::kLower>},
    {"capitalize", "", case_filter<CaseChange::kCapitalize>},
    {"title", "", case_filter<CaseChange::kTitleFilter>},
    {"trim", "chars?", trim_filter},
    {"strip", "chars?", trim_filter},
    {"replace", "old new count?", replace_filter},
    {"string", "", string_filter},
    {"safe", "", safe_filter},
    {"e", "", escape_filter},
    {"escape", "", escape_filter},
    {"forceescape", "", forceescape_filter},
    {"indent", "width? first? blank?", indent_filter},
    {"truncate", "length? killwords? end? leeway?", truncate_filter},
    {"center", "width?", center_filter},
    {"wordcount", "", wordcount_filter},
    {"format", "*", format_filter},
};

}  // namespace

std::span<const FilterEntry> text_filters() { return kFilters; }

}  // namespace llmrun::chat::jinja
