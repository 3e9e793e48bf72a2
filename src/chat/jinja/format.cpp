// printf-style and brace-style formatting.
#include "chat/jinja/format.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "chat/jinja/operations.h"
#include "chat/jinja/unicode.h"

namespace llmrun::chat::jinja {
namespace {

constexpr int64_t kMaxWidth = 1 << 20;
constexpr int64_t kMaxPrecision = 400;

// Reads digits at `at`; an error when the number is beyond `limit`.
Result<int64_t> read_count(std::string_view text, size_t& at, int64_t limit) {
  int64_t count = 0;
  while (at < text.size() && text[at] >= '0' && text[at] <= '9') {
    count = count * 10 + (text[at++] - '0');
    if (count > limit) return template_error("a width or precision above {}", limit);
  }
  return count;
}

std::string in_base(uint64_t magnitude, char type) {
  switch (type) {
    case 'x':
      return fmt::format("{:x}", magnitude);
    case 'X':
      return fmt::format("{:X}", magnitude);
    case 'o':
      return fmt::format("{:o}", magnitude);
    case 'b':
      return fmt::format("{:b}", magnitude);
    default:
      return fmt::format("{}", magnitude);
  }
}

std::string float_digits(double magnitude, const FormatSpec& spec) {
  const auto precision = static_cast<int>(spec.precision < 0 ? 6 : spec.precision);
  switch (spec.type) {
    case 'f':
    case 'F':
      return fmt::format("{:.{}f}", magnitude, precision);
    case '%':
      return fmt::format("{:.{}f}%", magnitude * 100, precision);
    case 'e':
      return fmt::format("{:.{}e}", magnitude, precision);
    case 'E':
      return fmt::format("{:.{}E}", magnitude, precision);
    case 'g':
      return fmt::format("{:.{}g}", magnitude, precision);
    case 'G':
      return fmt::format("{:.{}G}", magnitude, precision);
    default:
      if (spec.precision < 0) return float_repr(magnitude);
      return fmt::format("{:.{}g}", magnitude, precision);
  }
}

// 1234567.5 → 1,234,567.5
std::string grouped(const std::string& digits, char mark) {
  const size_t whole = std::min(digits.find_first_not_of("0123456789"), digits.size());
  std::string out;
  for (size_t i = 0; i < whole; ++i) {
    if (i > 0 && (whole - i) % 3 == 0) out += mark;
    out += digits[i];
  }
  return out + digits.substr(whole);
}

struct Number {
  std::string sign;  // with 0x and the like
  std::string digits;
};

Result<Number> number_text(const Value& value, const FormatSpec& spec) {
  Number number;
  bool negative = false;
  const bool float_type =
      std::string_view("fFeEgG%").find(spec.type) != std::string_view::npos && spec.type != '\0';
  if (value.is_float() || float_type) {
    if (spec.type != '\0' && !float_type) {
      return template_error("a float cannot be formatted as '{}'", spec.type);
    }
    const double real = value.number();
    negative = std::signbit(real);
    number.digits = float_digits(std::abs(real), spec);
  } else {
    const int64_t integer = value.integer().value_or(0);
    negative = integer < 0;
    const uint64_t magnitude =
        negative ? 0 - static_cast<uint64_t>(integer) : static_cast<uint64_t>(integer);
    number.digits = in_base(magnitude, spec.type);
    if (spec.alternate && std::string_view("xXob").find(spec.type) != std::string_view::npos &&
        spec.type != '\0') {
      number.sign = fmt::format("0{}", spec.type);
    }
  }
  if (spec.group != '\0') number.digits = grouped(number.digits, spec.group);
  if (negative) {
    number.sign.insert(0, "-");
  } else if (spec.sign != '-') {
    number.sign.insert(0, 1, spec.sign);
  }
  return number;
}

void pad(TextBuilder& out, std::string_view fill, int64_t count) {
  for (int64_t i = 0; i < count; ++i) out.append(fill, true);
}

Result<void> write_number(TextBuilder& out, const Value& value, const FormatSpec& spec) {
  LLMRUN_ASSIGN(const Number number, number_text(value, spec));
  const auto size = static_cast<int64_t>(number.sign.size() + number.digits.size());
  const int64_t missing = std::max<int64_t>(0, spec.width - size);
  const bool zeros = spec.zero && spec.align == '\0';
  const char align = zeros ? '=' : spec.align == '\0' ? '>' : spec.align;
  const std::string_view fill = zeros ? "0" : spec.fill;
  const int64_t left = align == '>' ? missing : align == '^' ? missing / 2 : 0;
  pad(out, fill, left);
  out.append(number.sign, true);
  if (align == '=') pad(out, fill, missing);
  out.append(number.digits, true);
  if (align != '=') pad(out, fill, missing - left);
  return {};
}

}  // namespace

Result<FormatSpec> parse_format_spec(std::string_view spec) {
  FormatSpec result;
  size_t at = 0;
  const auto is_align = [](char c) { return c == '<' || c == '>' || c == '^' || c == '='; };
  if (!spec.empty()) {
    const size_t first = decode_at(spec, 0).bytes;
    if (spec.size() > first && is_align(spec[first])) {
      result.fill = spec.substr(0, first);
      result.align = spec[first];
      at = first + 1;
    } else if (is_align(spec[0])) {
      result.align = spec[0];
      at = 1;
    }
  }
  const auto take = [&](char wanted) {
    if (at >= spec.size() || spec[at] != wanted) return false;
    ++at;
    return true;
  };
  for (const char sign : {'+', ' ', '-'}) {
    if (take(sign)) {
      result.sign = sign;
      break;
    }
  }
  result.alternate = take('#');
  result.zero = take('0');
  LLMRUN_ASSIGN(result.width, read_count(spec, at, kMaxWidth));
  if (take(',')) result.group = ',';
  if (take('_')) result.group = '_';
  if (take('.')) {
    if (at >= spec.size() || spec[at] < '0' || spec[at] > '9') {
      return template_error("a format '{}' without the digits of its precision", spec);
    }
    LLMRUN_ASSIGN(result.precision, read_count(spec, at, kMaxPrecision));
  }
  if (at < spec.size()) result.type = spec[at++];
  if (at < spec.size()) return template_error("'{}' is not a format", spec);
  return result;
}

Result<void> write_formatted(Heap& heap, TextBuilder& out, const Value& value,
                             const FormatSpec& spec) {
  LLMRUN_TRY(heap.spend_bytes(static_cast<uint64_t>(spec.width) + 64));
  const bool number = value.is_int() || value.is_float() || (value.is_bool() && spec.type != '\0');
  if (number && spec.type != 's') {
    const bool known = spec.type == '\0' ||
                       std::string_view("dnxXobfFeEgG%").find(spec.type) != std::string_view::npos;
    if (!known) return template_error("'{}' is not a format of numbers", spec.type);
    return write_number(out, value, spec);
  }
  if (spec.type != '\0' && spec.type != 's') {
    return template_error("a value of type {} cannot be formatted as '{}'", type_name(value),
                          spec.type);
  }
  LLMRUN_ASSIGN(Value text, to_string(heap, value));
  if (spec.precision >= 0) {
    LLMRUN_ASSIGN(text, slice(heap, text, None{}, Value(spec.precision), None{}));
  }
  const auto size = static_cast<int64_t>(text.as_string().length());
  const int64_t missing = std::max<int64_t>(0, spec.width - size);
  const char align = spec.align == '\0' ? '<' : spec.align;
  if (align == '=') return template_error("'=' aligns numbers only");
  const int64_t left = align == '>' ? missing : align == '^' ? missing / 2 : 0;
  pad(out, spec.fill, left);
  out.append(text.text());
  pad(out, spec.fill, missing - left);
  return {};
}

}  // namespace llmrun::chat::jinja
