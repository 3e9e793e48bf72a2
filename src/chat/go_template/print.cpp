// How values become text: as Go's fmt package writes them, and as its encoding/json does.
#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <limits>

#include "base/utf8.h"
#include "chat/go_template/value.h"

namespace llmrun::chat::go_template {
namespace {

constexpr bool kTrusted = true;
constexpr int kExponentFrom = 6;  // a float of seven digits before the point is written with one

// Go writes exponents with at least two digits, as charconv does.
std::string shortest(double value, std::chars_format form) {
  std::array<char, 400> buffer;
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, form).ptr;
  return {buffer.data(), end};
}

std::string not_finite(double value) {
  if (std::isnan(value)) return "NaN";
  return value > 0 ? "+Inf" : "-Inf";
}

// The decimal exponent of the shortest form.
int exponent_of(double value) {
  const std::string text = shortest(value, std::chars_format::scientific);
  int exponent = 0;
  const size_t at = text.find('e') + (text[text.find('e') + 1] == '+' ? 2 : 1);
  std::from_chars(text.data() + at, text.data() + text.size(), exponent);
  return exponent;
}

// encoding/json: like ES6, with exponents outside of 1e-6 to 1e21.
std::string json_number(double value) {
  if (!std::isfinite(value)) return "null";
  const double size = std::fabs(value);
  if (size == 0 || (size >= 1e-6 && size < 1e21)) {
    return shortest(value, std::chars_format::fixed);
  }
  std::string text = shortest(value, std::chars_format::scientific);
  const size_t e = text.find("e-0");
  if (e != std::string::npos) text.erase(e + 2, 1);  // e-09 is e-9
  return text;
}

void append_escaped(TextBuilder& out, std::string_view text, size_t at, size_t length,
                    bool trusted) {
  const std::string_view bytes = text.substr(at, length);
  switch (bytes[0]) {
    case '"':
      return out.append("\\\"", trusted);
    case '\\':
      return out.append("\\\\", trusted);
    case '\n':
      return out.append("\\n", trusted);
    case '\r':
      return out.append("\\r", trusted);
    case '\t':
      return out.append("\\t", trusted);
    default:
      break;
  }
  const utf8::Decoded decoded = utf8::decode(bytes);
  if (!decoded.valid) return out.append("\\ufffd", trusted);
  const uint32_t c = decoded.code_point;
  if (c < 0x20 || c == '<' || c == '>' || c == '&' || c == 0x2028 || c == 0x2029) {
    return out.append(fmt::format("\\u{:04x}", c), trusted);
  }
  out.append(bytes, trusted);
}

void write_json_text(TextBuilder& out, const Text& text) {
  const std::string_view view = text.view();
  out.append("\"", kTrusted);
  for (size_t i = 0; i < view.size() && !out.overflow();) {
    const size_t length = std::max<size_t>(utf8::decode(view, i).length, 1);
    append_escaped(out, view, i, length, text.trusted_at(i));
    i += length;
  }
  out.append("\"", kTrusted);
}

void write_json_object(TextBuilder& out, const Object& object) {
  bool first = true;
  out.append("{", kTrusted);
  for (const Member& member : object.members) {
    if (member.is_method || (member.omit_empty && !truth(member.value))) continue;
    if (!first) out.append(",", kTrusted);
    first = false;
    write_json_text(out, Text(member.json_name.empty() ? member.name : member.json_name,
                              object.is_struct || member.trusted));
    out.append(":", kTrusted);
    write_json(out, member.value);
    if (out.overflow()) return;
  }
  out.append("}", kTrusted);
}

void print_object(TextBuilder& out, const Object& object) {
  out.append(object.is_struct ? "{" : "map[", kTrusted);
  bool first = true;
  for (const Member& member : object.members) {
    if (member.is_method || out.overflow()) continue;
    if (!first) out.append(" ", kTrusted);
    first = false;
    if (!object.is_struct) {
      out.append(member.name, member.trusted);
      out.append(":", kTrusted);
    }
    print(out, member.value);
  }
  out.append(object.is_struct ? "}" : "]", kTrusted);
}

}  // namespace

std::string format_float(double value, char verb, int precision) {
  if (!std::isfinite(value)) return not_finite(value);
  if (verb == 'v') {  // %g with the shortest digits
    if (value == 0) return std::signbit(value) ? "-0" : "0";
    const int exponent = exponent_of(value);
    return shortest(value, exponent < -4 || exponent >= kExponentFrom
                               ? std::chars_format::scientific
                               : std::chars_format::fixed);
  }
  switch (verb) {
    case 'f':
    case 'F':
      return fmt::format("{:.{}f}", value, precision < 0 ? 6 : precision);
    case 'e':
      return fmt::format("{:.{}e}", value, precision < 0 ? 6 : precision);
    case 'E':
      return fmt::format("{:.{}E}", value, precision < 0 ? 6 : precision);
    default:
      if (precision < 0) return format_float(value, 'v', -1);
      return fmt::format("{:.{}g}", value, precision);
  }
}

void print(TextBuilder& out, const Value& value) {
  if (const bool* const b = value.as_bool()) {
    out.append(*b ? "true" : "false", kTrusted);
  } else if (const int64_t* const i = value.as_int()) {
    out.append(fmt::format("{}", *i), kTrusted);
  } else if (const double* const f = value.as_float()) {
    out.append(format_float(*f, 'v', -1), kTrusted);
  } else if (const Text* const text = value.as_text()) {
    out.append(*text);
  } else if (const List* const list = value.as_list()) {
    if (list->prints_json) return write_json(out, value);
    out.append("[", kTrusted);
    for (size_t k = 0; k < list->items.size() && !out.overflow(); ++k) {
      if (k > 0) out.append(" ", kTrusted);
      print(out, list->items[k]);
    }
    out.append("]", kTrusted);
  } else if (const Object* const object = value.as_object()) {
    if (object->prints_json) return write_json(out, value);
    print_object(out, *object);
  } else {
    out.append("<nil>", kTrusted);
  }
}

void write_json(TextBuilder& out, const Value& value) {
  if (const bool* const b = value.as_bool()) {
    out.append(*b ? "true" : "false", kTrusted);
  } else if (const int64_t* const i = value.as_int()) {
    out.append(fmt::format("{}", *i), kTrusted);
  } else if (const double* const f = value.as_float()) {
    out.append(json_number(*f), kTrusted);
  } else if (const Text* const text = value.as_text()) {
    write_json_text(out, *text);
  } else if (const List* const list = value.as_list()) {
    out.append("[", kTrusted);
    for (size_t k = 0; k < list->items.size() && !out.overflow(); ++k) {
      if (k > 0) out.append(",", kTrusted);
      write_json(out, list->items[k]);
    }
    out.append("]", kTrusted);
  } else if (const Object* const object = value.as_object()) {
    write_json_object(out, *object);
  } else {
    out.append("null", kTrusted);
  }
}

}  // namespace llmrun::chat::go_template
