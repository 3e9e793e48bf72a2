// Number and string literals, as Python reads them.
#include "chat/jinja/literals.h"

#include <fmt/format.h>

#include <charconv>

#include "chat/jinja/unicode.h"

namespace llmrun::chat::jinja {
namespace {

int digit_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return 99;
}

// Appends the digits of `base` at `at`, single underscores between them allowed, to `out`.
size_t read_digits(std::string_view text, size_t at, int base, std::string& out) {
  while (at < text.size()) {
    const bool joined = text[at] == '_' && at + 1 < text.size();
    const size_t digit = joined ? at + 1 : at;
    if (digit_value(text[digit]) >= base) break;
    out += text[digit];
    at = digit + 1;
  }
  return at;
}

bool is_decimal_digit(std::string_view text, size_t at) {
  return at < text.size() && digit_value(text[at]) < 10;
}

// The fraction and exponent after the digits that end at `at`; `at` when there is neither.
size_t read_float_tail(std::string_view text, size_t at, std::string& digits) {
  size_t end = at;
  if (end < text.size() && text[end] == '.' && is_decimal_digit(text, end + 1)) {
    digits += '.';
    end = read_digits(text, end + 1, 10, digits);
  }
  if (end < text.size() && (text[end] == 'e' || text[end] == 'E')) {
    const bool sign = end + 1 < text.size() && (text[end + 1] == '+' || text[end + 1] == '-');
    const size_t first = end + (sign ? 2 : 1);
    if (is_decimal_digit(text, first)) {
      digits += 'e';
      if (sign) digits += text[end + 1];
      end = read_digits(text, first, 10, digits);
    }
  }
  return end;
}

// The code point of `count` hexadecimal digits at `at`; false when they are not all there.
bool read_hex(std::string_view text, size_t at, size_t count, uint32_t& out) {
  if (text.size() - at < count) return false;
  out = 0;
  for (size_t i = 0; i < count; ++i) {
    const int digit = digit_value(text[at + i]);
    if (digit > 15) return false;
    out = out * 16 + static_cast<uint32_t>(digit);
  }
  return true;
}

char simple_escape(char c) {
  switch (c) {
    case 'n':
      return '\n';
    case 't':
      return '\t';
    case 'r':
      return '\r';
    case 'a':
      return '\a';
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'v':
      return '\v';
    case '\\':
    case '\'':
    case '"':
      return c;
    default:
      return '\0';
  }
}

// \x41, \u0041, \U00000041 with the letter at `at`. Surrogate pairs written as two \u become one
// character.
bool unescape_hex(std::string_view text, size_t& at, std::string& out, std::string& problem) {
  const char letter = text[at];
  const size_t count = letter == 'x' ? 2 : letter == 'u' ? 4 : 8;
  uint32_t code = 0;
  if (!read_hex(text, at + 1, count, code) || code > 0x10FFFFU) {
    problem = fmt::format("'\\{}' needs {} hexadecimal digits of a character", letter, count);
    return false;
  }
  at += 1 + count;
  if (code >= 0xD800U && code < 0xDC00U && text.substr(at).substr(0, 2) == "\\u") {
    uint32_t low = 0;
    if (read_hex(text, at + 2, 4, low) && low >= 0xDC00U && low < 0xE000U) {
      code = 0x10000U + ((code - 0xD800U) << 10U) + (low - 0xDC00U);
      at += 6;
    }
  }
  if (code >= 0xD800U && code < 0xE000U) code = 0xFFFDU;  // half a pair is no character
  append_utf8(out, code);
  return true;
}

void unescape_octal(std::string_view text, size_t& at, std::string& out) {
  uint32_t code = 0;
  for (int i = 0; i < 3 && at < text.size() && text[at] >= '0' && text[at] <= '7'; ++i, ++at) {
    code = code * 8 + static_cast<uint32_t>(text[at] - '0');
  }
  append_utf8(out, code);
}

}  // namespace

bool read_number(std::string_view text, bool allow_float, NumberLiteral& out) {
  std::string digits;
  int base = 10;
  size_t at = 0;
  if (text.size() > 1 && text[0] == '0') {
    const char mark = text[1];
    const int wanted = mark == 'b' || mark == 'B'   ? 2
                       : mark == 'o' || mark == 'O' ? 8
                       : mark == 'x' || mark == 'X' ? 16
                                                    : 10;
    std::string based;
    if (wanted != 10) at = read_digits(text, 2, wanted, based);
    if (!based.empty()) {
      base = wanted;
      digits = based;
    }
  }
  if (base == 10) {
    at = read_digits(text, 0, 10, digits);
    const size_t end = allow_float ? read_float_tail(text, at, digits) : at;
    if (end != at) {
      out.bytes = end;
      out.is_float = true;
      const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), out.real);
      return parsed.ec == std::errc();
    }
    // "012" is 0 and then 12: a leading zero stands alone.
    if (digits.size() > 1 && digits[0] == '0') {
      digits.clear();
      at = 0;
      while (at < text.size() && text[at] == '0') ++at;
      digits = "0";
    }
  }
  out.bytes = at;
  const auto parsed =
      std::from_chars(digits.data(), digits.data() + digits.size(), out.integer, base);
  return parsed.ec == std::errc();
}

bool unescape(std::string_view text, std::string& out, std::string& problem) {
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    if (text[at] != '\\') {
      out += text[at++];
      continue;
    }
    ++at;
    if (at == text.size()) {
      problem = "a string ends in a lone backslash";
      return false;
    }
    const char c = text[at];
    if (c == '\n') {
      ++at;  // a line that goes on
    } else if (const char simple = simple_escape(c); simple != '\0') {
      out += simple;
      ++at;
    } else if (c >= '0' && c <= '7') {
      unescape_octal(text, at, out);
    } else if (c == 'x' || c == 'u' || c == 'U') {
      if (!unescape_hex(text, at, out, problem)) return false;
    } else {
      out += '\\';  // not an escape: both characters stay
    }
  }
  return true;
}

}  // namespace llmrun::chat::jinja
