// UTF-8 as in RFC 3629: overlong forms, surrogates and code points past U+10FFFF are invalid.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace llmrun::utf8 {

inline constexpr uint32_t kReplacement = 0xFFFD;

struct Decoded {
  uint32_t code_point = kReplacement;
  uint8_t length = 0;  // bytes; when invalid, the longest part that could have begun a character
  bool valid = false;
  bool truncated = false;  // invalid only because the text ends too early
};

// The character at `position` (< text.size()).
Decoded decode(std::string_view text, size_t position = 0);

// Appends the character; a code point that cannot be encoded becomes U+FFFD.
void append(std::string& text, uint32_t code_point);
std::string encode(uint32_t code_point);

constexpr bool is_continuation(char byte) {
  return (static_cast<unsigned char>(byte) & 0xC0) == 0x80;
}

bool is_valid(std::string_view text);

// How much of `text` can be shown now: everything but the beginning of a character at its end
// whose other bytes may still come. Invalid bytes elsewhere count as shown.
size_t complete_prefix(std::string_view text);

// The text with each invalid part replaced by U+FFFD.
std::string sanitize(std::string_view text);

// Characters, each invalid part counted as one.
size_t count(std::string_view text);

}  // namespace llmrun::utf8
