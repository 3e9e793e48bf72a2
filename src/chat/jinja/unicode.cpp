// Character classes come from utf8proc; where Python's definition differs the list is here.
#include "chat/jinja/unicode.h"

#include <utf8proc.h>

#include <algorithm>

namespace llmrun::chat::jinja {
namespace {

bool is_continuation(char byte) { return (static_cast<unsigned char>(byte) & 0xC0U) == 0x80U; }

utf8proc_category_t category(uint32_t code_point) {
  if (code_point > 0x10FFFFU) return UTF8PROC_CATEGORY_CN;
  return utf8proc_category(static_cast<utf8proc_int32_t>(code_point));
}

// Length that the first byte promises; 0 when no character starts with it.
size_t promised_length(unsigned char lead) {
  if (lead < 0x80U) return 1;
  if (lead >= 0xC2U && lead < 0xE0U) return 2;
  if (lead >= 0xE0U && lead < 0xF0U) return 3;
  if (lead >= 0xF0U && lead < 0xF5U) return 4;
  return 0;
}

}  // namespace

CodePoint decode_at(std::string_view text, size_t offset) {
  const auto lead = static_cast<unsigned char>(text[offset]);
  if (lead < 0x80U) return {lead, 1};
  const CodePoint invalid{CodePoint::kInvalid, 1};
  const size_t length = promised_length(lead);
  if (length == 0 || text.size() - offset < length) return invalid;
  uint32_t value = lead & (0xFFU >> (length + 1));
  for (size_t i = 1; i < length; ++i) {
    const char byte = text[offset + i];
    if (!is_continuation(byte)) return invalid;
    value = (value << 6U) | (static_cast<unsigned char>(byte) & 0x3FU);
  }
  const bool overlong = (length == 3 && value < 0x800U) || (length == 4 && value < 0x10000U);
  const bool surrogate = value >= 0xD800U && value < 0xE000U;
  if (overlong || surrogate || value > 0x10FFFFU) return invalid;
  return {value, length};
}

CodePoint decode_before(std::string_view text, size_t end) {
  const size_t reach = std::min<size_t>(end, 4);
  for (size_t length = 1; length <= reach; ++length) {
    if (is_continuation(text[end - length])) continue;
    const CodePoint found = decode_at(text.substr(0, end), end - length);
    if (found.bytes == length) return found;
    break;
  }
  return {CodePoint::kInvalid, 1};
}

void append_utf8(std::string& out, uint32_t code_point) {
  const auto put = [&out](uint32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (code_point < 0x80U) {
    put(code_point);
  } else if (code_point < 0x800U) {
    put(0xC0U | (code_point >> 6U));
    put(0x80U | (code_point & 0x3FU));
  } else if (code_point < 0x10000U) {
    put(0xE0U | (code_point >> 12U));
    put(0x80U | ((code_point >> 6U) & 0x3FU));
    put(0x80U | (code_point & 0x3FU));
  } else {
    put(0xF0U | (code_point >> 18U));
    put(0x80U | ((code_point >> 12U) & 0x3FU));
    put(0x80U | ((code_point >> 6U) & 0x3FU));
    put(0x80U | (code_point & 0x3FU));
  }
}

bool append_common_escape(std::string& out, uint32_t code_point, char mark) {
  char letter = 0;
  if (code_point == static_cast<unsigned char>(mark)) letter = mark;
  if (code_point == '\\') letter = '\\';
  if (code_point == '\n') letter = 'n';
  if (code_point == '\r') letter = 'r';
  if (code_point == '\t') letter = 't';
  if (letter == 0) return false;
  out += '\\';
  out += letter;
  return true;
}

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x80U; });
}

size_t count_characters(std::string_view text) {
  if (is_ascii(text)) return text.size();
  size_t count = 0;
  for (size_t at = 0; at < text.size(); at += decode_at(text, at).bytes) ++count;
  return count;
}

size_t byte_offset(std::string_view text, size_t index) {
  size_t at = 0;
  while (at < text.size() && index > 0) {
    at += decode_at(text, at).bytes;
    --index;
  }
  return at;
}

bool is_space(uint32_t c) {
  return (c >= 0x09U && c <= 0x0DU) || (c >= 0x1CU && c <= 0x20U) || c == 0x85U || c == 0xA0U ||
         c == 0x1680U || (c >= 0x2000U && c <= 0x200AU) || c == 0x2028U || c == 0x2029U ||
         c == 0x202FU || c == 0x205FU || c == 0x3000U;
}

bool is_line_break(uint32_t c) {
  return (c >= 0x0AU && c <= 0x0DU) || (c >= 0x1CU && c <= 0x1EU) || c == 0x85U || c == 0x2028U ||
         c == 0x2029U;
}

bool is_alpha(uint32_t c) {
  const utf8proc_category_t kind = category(c);
  return kind >= UTF8PROC_CATEGORY_LU && kind <= UTF8PROC_CATEGORY_LO;
}

bool is_decimal(uint32_t c) { return category(c) == UTF8PROC_CATEGORY_ND; }

bool is_digit(uint32_t c) {
  if (is_decimal(c)) return true;
  // Superscripts, subscripts and circled digits: Numeric_Type=Digit, which utf8proc does not tell.
  return c == 0xB2U || c == 0xB3U || c == 0xB9U || c == 0x2070U || (c >= 0x2074U && c <= 0x2079U) ||
         (c >= 0x2080U && c <= 0x2089U) || (c >= 0x2460U && c <= 0x2468U) ||
         (c >= 0x2474U && c <= 0x247CU) || (c >= 0x2488U && c <= 0x2490U);
}

bool is_word(uint32_t c) {
  const utf8proc_category_t kind = category(c);
  return c == '_' || is_alpha(c) || kind == UTF8PROC_CATEGORY_ND || kind == UTF8PROC_CATEGORY_NL ||
         kind == UTF8PROC_CATEGORY_NO;
}

bool is_upper(uint32_t c) {
  return c <= 0x10FFFFU && utf8proc_isupper(static_cast<utf8proc_int32_t>(c)) != 0;
}

bool is_lower(uint32_t c) {
  return c <= 0x10FFFFU && utf8proc_islower(static_cast<utf8proc_int32_t>(c)) != 0;
}

bool is_printable(uint32_t c) {
  if (c == ' ') return true;
  switch (category(c)) {
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
      return false;
    default:
      return true;
  }
}

void append_upper(std::string& out, uint32_t c) {
  if (c == 0xDFU) {
    out += "SS";
    return;
  }
  append_utf8(out, static_cast<uint32_t>(utf8proc_toupper(static_cast<utf8proc_int32_t>(c))));
}

void append_lower(std::string& out, uint32_t c) {
  append_utf8(out, static_cast<uint32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c))));
}

void append_title(std::string& out, uint32_t c) {
  if (c == 0xDFU) {
    out += "Ss";
    return;
  }
  append_utf8(out, static_cast<uint32_t>(utf8proc_totitle(static_cast<utf8proc_int32_t>(c))));
}

std::string_view strip_space(std::string_view text, bool left, bool right) {
  while (left && !text.empty()) {
    const CodePoint first = decode_at(text, 0);
    if (!is_space(first.value)) break;
    text.remove_prefix(first.bytes);
  }
  while (right && !text.empty()) {
    const CodePoint last = decode_before(text, text.size());
    if (!is_space(last.value)) break;
    text.remove_suffix(last.bytes);
  }
  return text;
}

}  // namespace llmrun::chat::jinja
