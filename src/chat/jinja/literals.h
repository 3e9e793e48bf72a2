// Literals of template source: numbers and strings with Python's escapes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace llmrun::chat::jinja {

struct NumberLiteral {
  size_t bytes = 0;
  bool is_float = false;
  int64_t integer = 0;
  double real = 0;
};

// Reads the number at the start of `text`, which begins with a digit. False: an integer that does
// not fit. A float needs `allow_float` ("x.1.2" is not x and a float).
bool read_number(std::string_view text, bool allow_float, NumberLiteral& out);

// The inside of a string literal. False: `problem` says which escape is wrong.
bool unescape(std::string_view text, std::string& out, std::string& problem);

}  // namespace llmrun::chat::jinja
