// Decoder after table 3-7 of the Unicode standard (well-formed byte sequences).
#include "base/utf8.h"

#include <algorithm>

namespace llmrun::utf8 {
namespace {

struct Lead {
  uint8_t length;  // 0: cannot begin a character
  uint8_t low;     // range of the second byte
  uint8_t high;
};

Lead lead_of(uint8_t byte) {
  if (byte < 0x80) return {1, 0, 0};
  if (byte < 0xC2) return {0, 0, 0};
  if (byte < 0xE0) return {2, 0x80, 0xBF};
  if (byte == 0xE0) return {3, 0xA0, 0xBF};
  if (byte == 0xED) return {3, 0x80, 0x9F};
  if (byte < 0xF0) return {3, 0x80, 0xBF};
  if (byte == 0xF0) return {4, 0x90, 0xBF};
  if (byte < 0xF4) return {4, 0x80, 0xBF};
  if (byte == 0xF4) return {4, 0x80, 0x8F};
  return {0, 0, 0};
}

}  // namespace

Decoded decode(std::string_view text, size_t position) {
  const auto byte_at = [&](size_t i) { return static_cast<uint8_t>(text[position + i]); };
  const uint8_t first = byte_at(0);
  const Lead lead = lead_of(first);
  if (lead.length == 1) return {first, 1, true, false};
  if (lead.length == 0) return {kReplacement, 1, false, false};
  const size_t available = text.size() - position;
  uint32_t code_point = first & (0x7FU >> lead.length);
  for (uint8_t i = 1; i < lead.length; ++i) {
    if (i >= available) return {kReplacement, i, false, true};
    const uint8_t low = i == 1 ? lead.low : uint8_t{0x80};
    const uint8_t high = i == 1 ? lead.high : uint8_t{0xBF};
    if (byte_at(i) < low || byte_at(i) > high) return {kReplacement, i, false, false};
    code_point = code_point << 6 | (byte_at(i) & 0x3FU);
  }
  return {code_point, lead.length, true, false};
}

void append(std::string& text, uint32_t code_point) {
  if (code_point > 0x10FFFF || (code_point >= 0xD800 && code_point <= 0xDFFF)) {
    code_point = kReplacement;
  }
  const auto put = [&](uint32_t byte) { text.push_back(static_cast<char>(byte)); };
  if (code_point < 0x80) {
    put(code_point);
  } else if (code_point < 0x800) {
    put(0xC0 | code_point >> 6);
    put(0x80 | (code_point & 0x3F));
  } else if (code_point < 0x10000) {
    put(0xE0 | code_point >> 12);
    put(0x80 | (code_point >> 6 & 0x3F));
    put(0x80 | (code_point & 0x3F));
  } else {
    put(0xF0 | code_point >> 18);
    put(0x80 | (code_point >> 12 & 0x3F));
    put(0x80 | (code_point >> 6 & 0x3F));
    put(0x80 | (code_point & 0x3F));
  }
}

std::string encode(uint32_t code_point) {
  std::string text;
  append(text, code_point);
  return text;
}

bool is_valid(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const Decoded character = decode(text, i);
    if (!character.valid) return false;
    i += character.length;
  }
  return true;
}

size_t complete_prefix(std::string_view text) {
  const size_t first = text.size() - std::min<size_t>(text.size(), 3);
  for (size_t i = text.size(); i > first; --i) {
    if (is_continuation(text[i - 1])) continue;
    return decode(text, i - 1).truncated ? i - 1 : text.size();
  }
  return text.size();
}

std::string sanitize(std::string_view text) {
  std::string clean;
  clean.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const Decoded character = decode(text, i);
    if (character.valid) {
      clean.append(text.substr(i, character.length));
    } else {
      append(clean, kReplacement);
    }
    i += character.length;
  }
  return clean;
}

size_t count(std::string_view text) {
  size_t n = 0;
  for (size_t i = 0; i < text.size(); ++n) i += decode(text, i).length;
  return n;
}

}  // namespace llmrun::utf8
