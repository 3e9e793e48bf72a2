// Jinja source to tokens, including the whitespace rules (trim_blocks and lstrip_blocks are on, as
// every program that renders chat templates has them; a single newline at the end is dropped).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "llmrun/error.h"

namespace llmrun::chat::jinja {

struct Position {
  uint32_t line = 1;
  uint32_t column = 1;  // in bytes
};

enum class TokenKind : uint8_t {
  kText,
  kOutputBegin,  // {{
  kOutputEnd,
  kBlockBegin,  // {%
  kBlockEnd,
  kName,
  kString,
  kInteger,
  kFloat,
  kOperator,
  kEnd,
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  Position at;
  std::string text;  // text, name, operator, or the string with its escapes resolved
  int64_t integer = 0;
  double real = 0;

  bool is_name(std::string_view name) const { return kind == TokenKind::kName && text == name; }
  bool is_operator(std::string_view sign) const {
    return kind == TokenKind::kOperator && text == sign;
  }
};

// The last token is kEnd. The error's context has the place ("line 3, column 7").
Result<std::vector<Token>> tokenize(std::string_view source);

std::string to_string(Position at);

}  // namespace llmrun::chat::jinja
