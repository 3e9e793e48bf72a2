// Filters over any value: default, conversions, rounding, JSON.
#include <charconv>
#include <cmath>

#include "chat/jinja/builtins.h"
#include "chat/jinja/interpreter.h"
#include "chat/jinja/json.h"
#include "chat/jinja/operations.h"
#include "chat/jinja/unicode.h"

namespace llmrun::chat::jinja {
namespace {

Result<Value> default_filter(Interpreter& interpreter, const Value& input, const Bound& arguments) {
  const bool replaced = input.is_undefined() || (arguments.flag(1, false) && !truthy(input));
  if (!replaced) return input;
  if (arguments.has(0)) return arguments[0];
  return interpreter.heap().text(std::string_view(), true);
}

// Digits with single underscores between them removed; none when they stand anywhere else.
std::optional<std::string> without_underscores(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') {
      out += text[i];
    } else if (i == 0 || i + 1 == text.size() || text[i - 1] == '_' || text[i + 1] == '_') {
      return std::nullopt;
    }
  }
  return out;
}

// int(text, base) of Python; none when the text is no such number or too large.
std::optional<int64_t> parse_integer(std::string_view text, int64_t base) {
  text = strip_space(text);
  const bool minus = !text.empty() && text[0] == '-';
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) text.remove_prefix(1);
  const auto lower = [&](size_t i) { return i < text.size() ? text[i] | 0x20 : 0; };
  const bool zero = !text.empty() && text[0] == '0';
  for (const auto& [letter, value] : {std::pair('x', 16), std::pair('o', 8), std::pair('b', 2)}) {
    if (zero && lower(1) == letter && (base == value || base == 0)) {
      base = value;
      text.remove_prefix(2);
      if (!text.empty() && text[0] == '_') text.remove_prefix(1);
      break;
    }
  }
  if (base == 0) base = 10;
  if (base < 2 || base > 36 || text.empty() || text[0] == '-') return std::nullopt;
  std::optional<std::string> digits = without_underscores(text);
  if (!digits) return std::nullopt;
  if (minus) digits->insert(0, "-");
  int64_t value = 0;
  const auto parsed = std::from_chars(digits->data(), digits->data() + digits->size(), value,
                                      static_cast<int>(base));
  if (parsed.ec != std::errc() || parsed.ptr != digits->data() + digits->size()) {
    return std::nullopt;
  }
  return value;
}

std::optional<double> parse_float(std::string_view text) {
  text = strip_space(text);
  std::optional<std::string> digits = without_underscores(text);
  if (!digits || digits->empty()) return std::nullopt;
  std::string_view number = *digits;
  if (number[0] == '+') number.remove_prefix(1);
  if (number.empty() || number[0] == '+') return std::nullopt;
  double value = 0;
  const auto parsed = std::from_chars(number.data(), number.data() + number.size(), value);
  if (parsed.ec != std::errc() || parsed.ptr != number.data() + number.size()) return std::nullopt;
  if (number.find('(') != std::string_view::npos) return std::nullopt;  // "nan(1)"
  return value;
}

std::optional<int64_t> truncated(double number) {
  if (!(std::abs(number) < 9.2e18)) return std::nullopt;
  return static_cast<int64_t>(number);
}

Result<Value> int_filter(Interpreter&, const Value& input, const Bound& arguments) {
  if (input.is_undefined()) return template_error("{}", input.undefined_reason());
  int64_t base = 10;
  if (arguments.has(1)) {
    LLMRUN_ASSIGN(base, integer_argument("int", arguments[1]));
  }
  std::optional<int64_t> result = input.integer();
  if (input.is_float()) result = truncated(input.as_float());
  if (input.is_string()) {
    result = parse_integer(input.view(), base);
    if (!result) {
      if (const auto number = parse_float(input.view())) result = truncated(*number);
    }
  }
  if (result) return Value(*result);
  return arguments.has(0) ? arguments[0] : Value(int64_t{0});
}

Result<Value> float_filter(Interpreter&, const Value& input, const Bound& arguments) {
  if (input.is_undefined()) return template_error("{}", input.undefined_reason());
  if (input.is_number()) return Value(input.number());
  if (input.is_string()) {
    if (const auto number = parse_float(input.view())) return Value(*number);
  }
  return arguments.has(0) ? arguments[0] : Value(0.0);
}

Result<Value> abs_filter(Interpreter&, const Value& input, const Bound&) {
  if (input.is_float()) return Value(std::abs(input.as_float()));
  if (const auto integer = input.integer()) return negate(Value(*integer), *integer < 0);
  if (input.is_undefined()) return template_error("{}", input.undefined_reason());
  return template_error("abs() needs a number, not {}", type_name(input));
}

// round(): to even on a tie, judged on the exact value of the double as Python does.
double round_even(double number, int64_t digits) {
  if (!std::isfinite(number) || digits > 300) return number;
  if (digits < 0) {
    const double unit = std::pow(10.0, static_cast<double>(-digits));
    if (!std::isfinite(unit)) return 0;
    return std::nearbyint(number / unit) * unit;
  }
  const std::string text = fmt::format("{:.{}f}", number, digits);
  double rounded = number;
  std::from_chars(text.data(), text.data() + text.size(), rounded);
  return rounded;
}

Result<Value> round_filter(Interpreter&, const Value& input, const Bound& arguments) {
  if (input.is_undefined()) return template_error("{}", input.undefined_reason());
  if (!input.is_number()) return template_error("round() needs a number, not {}", type_name(input));
  int64_t digits = 0;
  if (arguments.has(0)) {
    LLMRUN_ASSIGN(digits, integer_argument("round", arguments[0]));
  }
  std::string_view method = "common";
  if (arguments.has(1)) {
    LLMRUN_TRY(text_argument("round", arguments[1]));
    method = arguments[1].view();
  }
  if (method == "common") {
    if (!input.is_float() && digits >= 0) return Value(*input.integer());
    const double rounded = round_even(input.number(), digits);
    if (input.is_float()) return Value(rounded);
    return Value(truncated(rounded).value_or(0));
  }
  if (method != "ceil" && method != "floor") {
    return template_error("the method of round() is common, ceil or floor");
  }
  const double unit = std::pow(10.0, static_cast<double>(digits));
  const double scaled = input.number() * unit;
  return Value((method == "ceil" ? std::ceil(scaled) : std::floor(scaled)) / unit);
}

Result<JsonStyle> json_style(const Bound& arguments) {
  JsonStyle style;
  style.ensure_ascii = arguments.flag(0, false);
  style.sort_keys = arguments.flag(3, false);
  if (arguments.has(1) && !arguments[1].is_none()) {
    style.item_separator = ",";
    if (arguments[1].is_string()) {
      style.indent = std::string(arguments[1].view());
    } else {
      LLMRUN_ASSIGN(const int64_t width, integer_argument("tojson", arguments[1]));
      constexpr int64_t kMaxIndent = 1000;
      if (width > kMaxIndent) return template_error("tojson() indents by at most {}", kMaxIndent);
      style.indent = std::string(static_cast<size_t>(std::max<int64_t>(0, width)), ' ');
    }
  }
  if (arguments.has(2) && !arguments[2].is_none()) {
    const bool pair = (arguments[2].is_tuple() || arguments[2].is_list()) &&
                      arguments[2].as<ListObject>().items.size() == 2;
    if (!pair) return template_error("the separators of tojson() are a pair of strings");
    const std::vector<Value>& items = arguments[2].as<ListObject>().items;
    LLMRUN_TRY(text_argument("tojson", items[0]));
    LLMRUN_TRY(text_argument("tojson", items[1]));
    style.item_separator = std::string(items[0].view());
    style.key_separator = std::string(items[1].view());
  }
  return style;
}

Result<Value> tojson_filter(Interpreter& interpreter, const Value& input, const Bound& arguments) {
  LLMRUN_ASSIGN(const JsonStyle style, json_style(arguments));
  TextBuilder out = interpreter.heap().builder();
  LLMRUN_TRY(write_json(interpreter.heap(), out, input, style));
  return interpreter.heap().text(out);
}

Result<Value> from_json_filter(Interpreter& interpreter, const Value& input, const Bound&) {
  LLMRUN_ASSIGN(const Value text, text_argument("from_json", input));
  return parse_json(interpreter.heap(), text.view(), "the text given to from_json");
}

Result<Value> attr_filter(Interpreter& interpreter, const Value& input, const Bound& arguments) {
  LLMRUN_ASSIGN(const Value name, text_argument("attr", arguments[0]));
  if (input.is_dict() && find_method(input, name.view()) == nullptr) {
    return Value::undefined(fmt::format("'dict object' has no attribute '{}'", name.view()));
  }
  return interpreter.attribute(input, name.view());
}

Result<Value> pprint_filter(Interpreter& interpreter, const Value& input, const Bound&) {
  return repr(interpreter.heap(), input);
}

constexpr FilterEntry kFilters[] = {
    {"default", "default_value? boolean?", default_filter},
    {"d", "default_value? boolean?", default_filter},
    {"int", "default? base?", int_filter},
    {"float", "default?", float_filter},
    {"abs", "", abs_filter},
    {"round", "precision? method?", round_filter},
    {"tojson", "ensure_ascii? indent? separators? sort_keys?", tojson_filter},
    {"from_json", "", from_json_filter},
    {"fromjson", "", from_json_filter},
    {"attr", "name", attr_filter},
    {"pprint", "", pprint_filter},
};

}  // namespace

std::span<const FilterEntry> value_filters() { return kFilters; }

}  // namespace llmrun::chat::jinja
