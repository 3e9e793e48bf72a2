// Decoding of UTF-8 and the classes of utf8proc's categories.
#include "tokenizer/characters.h"

#include <utf8proc.h>

namespace llmrun::tokenizer {
namespace {

constexpr ClassMask ascii_class(unsigned c) {
  if (c == '\r' || c == '\n') return kControl | kSpace | kNewline;
  if (c == '\t' || c == 0x0B || c == 0x0C) return kControl | kSpace;
  if (c == ' ') return kSpace;
  if (c < 0x20 || c == 0x7F) return kControl;
  if (c >= '0' && c <= '9') return kNumber;
  if (c >= 'A' && c <= 'Z') return kUpper;
  if (c >= 'a' && c <= 'z') return kLower;
  if (c == '$' || c == '+' || c == '<' || c == '=' || c == '>' || c == '^' || c == '`' ||
      c == '|' || c == '~') {
    return kSymbol;
  }
  return kPunctuation;
}

bool is_space(uint32_t code) {
  return (code >= 0x09 && code <= 0x0D) || code == 0x20 || code == 0x85 || code == 0xA0 ||
         code == 0x1680 || (code >= 0x2000 && code <= 0x200A) || code == 0x2028 || code == 0x2029 ||
         code == 0x202F || code == 0x205F || code == 0x3000;
}

ClassMask class_of_category(utf8proc_category_t category) {
  switch (category) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LT:
      return kUpper;
    case UTF8PROC_CATEGORY_LL:
      return kLower;
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
      return kOtherLetter;
    case UTF8PROC_CATEGORY_MN:
      return kMark | kNonSpacingMark;
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
      return kMark;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
      return kNumber;
    case UTF8PROC_CATEGORY_PC:
    case UTF8PROC_CATEGORY_PD:
    case UTF8PROC_CATEGORY_PS:
    case UTF8PROC_CATEGORY_PE:
    case UTF8PROC_CATEGORY_PI:
    case UTF8PROC_CATEGORY_PF:
    case UTF8PROC_CATEGORY_PO:
      return kPunctuation;
    case UTF8PROC_CATEGORY_SM:
    case UTF8PROC_CATEGORY_SC:
    case UTF8PROC_CATEGORY_SK:
    case UTF8PROC_CATEGORY_SO:
      return kSymbol;
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
      return kControl;
    default:
      return 0;  // unassigned, separators
  }
}

}  // namespace

#define LLMRUN_ASCII_8(n)                                                                         \
  ascii_class(n), ascii_class(n + 1), ascii_class(n + 2), ascii_class(n + 3), ascii_class(n + 4), \
      ascii_class(n + 5), ascii_class(n + 6), ascii_class(n + 7)
#define LLMRUN_ASCII_32(n) \
  LLMRUN_ASCII_8(n), LLMRUN_ASCII_8(n + 8), LLMRUN_ASCII_8(n + 16), LLMRUN_ASCII_8(n + 24)
constexpr ClassMask kAsciiClasses[128] = {LLMRUN_ASCII_32(0), LLMRUN_ASCII_32(32),
                                          LLMRUN_ASCII_32(64), LLMRUN_ASCII_32(96)};
#undef LLMRUN_ASCII_32
#undef LLMRUN_ASCII_8

ClassMask classes_of(uint32_t code) {
  if (code < 0x80) return kAsciiClasses[code];
  if (code > 0x10FFFF) return kSymbol;
  const ClassMask classes =
      class_of_category(utf8proc_category(static_cast<utf8proc_int32_t>(code)));
  return is_space(code) ? static_cast<ClassMask>(classes | kSpace) : classes;
}

Character decode_character(std::string_view text, size_t pos) {
  constexpr Character kInvalid{0xFFFD, kSymbol, 1};
  const auto byte = [&](size_t i) {
    return static_cast<uint32_t>(static_cast<unsigned char>(text[pos + i]));
  };
  const uint32_t lead = byte(0);
  if (lead < 0x80) return {lead, kAsciiClasses[lead], 1};
  const unsigned length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  // C0, C1 would be overlong, F5 and above lie past U+10FFFF, 80..BF are continuation bytes.
  if (lead < 0xC2 || lead > 0xF4 || text.size() - pos < length) return kInvalid;
  uint32_t code = lead & (0x7FU >> length);
  for (unsigned i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0U) != 0x80U) return kInvalid;
    code = code << 6U | (byte(i) & 0x3FU);
  }
  const bool overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
  const bool surrogate = code >= 0xD800 && code <= 0xDFFF;
  if (overlong || surrogate || code > 0x10FFFF) return kInvalid;
  return {code, classes_of(code), static_cast<uint8_t>(length)};
}

}  // namespace llmrun::tokenizer
