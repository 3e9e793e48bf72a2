// Code points of UTF-8 text with the meaning Python's str gives them. Bytes that are not UTF-8
// count as one character each and are passed through.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace llmrun::chat::jinja {

struct CodePoint {
  uint32_t value = 0;  // kInvalid for a byte that is not part of well-formed UTF-8
  size_t bytes = 1;

  static constexpr uint32_t kInvalid = 0xFFFFFFFFU;
};

// The character that starts at `offset`, which must be less than text.size().
CodePoint decode_at(std::string_view text, size_t offset);
// The character that ends at `end`, which must be greater than 0.
CodePoint decode_before(std::string_view text, size_t end);
void append_utf8(std::string& out, uint32_t code_point);
// Appends the escape of a quotation mark, a backslash, a line feed, a carriage return or a tab, as
// JSON and Python write them; false: it is none of these.
bool append_common_escape(std::string& out, uint32_t code_point, char mark);

bool is_ascii(std::string_view text);
size_t count_characters(std::string_view text);
// Byte offset of character number `index`; text.size() when there are not that many.
size_t byte_offset(std::string_view text, size_t index);

bool is_space(uint32_t code_point);       // str.isspace
bool is_line_break(uint32_t code_point);  // str.splitlines
bool is_alpha(uint32_t code_point);
bool is_digit(uint32_t code_point);  // decimal digits and superscripts, str.isdigit
bool is_decimal(uint32_t code_point);
bool is_word(uint32_t code_point);  // \w of Python's re
bool is_upper(uint32_t code_point);
bool is_lower(uint32_t code_point);
bool is_printable(uint32_t code_point);  // what repr() leaves as it is

// Appends the upper or lower case form (which may be longer: ß → SS).
void append_upper(std::string& out, uint32_t code_point);
void append_lower(std::string& out, uint32_t code_point);
void append_title(std::string& out, uint32_t code_point);

std::string_view strip_space(std::string_view text, bool left = true, bool right = true);

}  // namespace llmrun::chat::jinja
