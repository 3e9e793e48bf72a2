// Characters of a text that need not be valid UTF-8: their length and the Unicode classes that
// the splitters of tokenizers tell apart.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace llmrun::tokenizer {

// Classes are bits; a character has one general category and perhaps kSpace or kNewline.
using ClassMask = uint16_t;
inline constexpr ClassMask kUpper = 1;         // Lu, Lt
inline constexpr ClassMask kLower = 2;         // Ll
inline constexpr ClassMask kOtherLetter = 4;   // Lm, Lo
inline constexpr ClassMask kMark = 8;          // Mn, Mc, Me
inline constexpr ClassMask kNumber = 16;       // Nd, Nl, No
inline constexpr ClassMask kPunctuation = 32;  // Pc, Pd, Ps, Pe, Pi, Pf, Po
inline constexpr ClassMask kSymbol = 64;       // Sm, Sc, Sk, So; and a byte that is no character
inline constexpr ClassMask kSpace = 128;       // property White_Space, what \s matches
inline constexpr ClassMask kNewline = 256;     // \r, \n
inline constexpr ClassMask kControl = 512;     // Cc, Cf, Cs, Co
inline constexpr ClassMask kNonSpacingMark = 1024;  // Mn, beside kMark
inline constexpr ClassMask kLetter = kUpper | kLower | kOtherLetter;

struct Character {
  uint32_t code;  // U+FFFD for a byte that belongs to no valid character
  ClassMask classes;
  uint8_t length;  // bytes, 1 to 4; 1 for an invalid byte
};

extern const ClassMask kAsciiClasses[128];

ClassMask classes_of(uint32_t code);

// Decodes the character at `pos`, which must be below text.size().
Character decode_character(std::string_view text, size_t pos);

// As decode_character, fast for ASCII.
inline Character character_at(std::string_view text, size_t pos) {
  const auto byte = static_cast<unsigned char>(text[pos]);
  if (byte < 0x80) return {byte, kAsciiClasses[byte], 1};
  return decode_character(text, pos);
}

// The end of the run of characters from `pos` on that have one of the classes in `mask`.
inline size_t run_of(std::string_view text, size_t pos, ClassMask mask) {
  while (pos < text.size()) {
    const Character c = character_at(text, pos);
    if ((c.classes & mask) == 0) break;
    pos += c.length;
  }
  return pos;
}

// The same for characters with none of the classes.
inline size_t run_without(std::string_view text, size_t pos, ClassMask mask) {
  while (pos < text.size()) {
    const Character c = character_at(text, pos);
    if ((c.classes & mask) != 0) break;
    pos += c.length;
  }
  return pos;
}

}  // namespace llmrun::tokenizer
