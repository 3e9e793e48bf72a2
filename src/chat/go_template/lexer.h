// Cuts a Go template into text and the tokens between {{ and }}.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "llmrun/error.h"

namespace llmrun::chat::go_template {

struct Token {
  enum class Kind : uint8_t {
    kText,        // outside of actions, trimmed
    kOpen,        // {{
    kClose,       // }}
    kField,       // .Name; text is without the dot
    kDot,         // .
    kVariable,    // $ or $name
    kWord,        // keyword or function
    kNumber,      // as written; also character constants
    kString,      // quoted or raw; text is what it means
    kPunctuation  // ( ) | , := =
  };
  Kind kind = Kind::kText;
  std::string text;
  size_t offset = 0;
  bool after_space = false;  // blanks stand in front of it

  [[nodiscard]] bool is(Kind k, std::string_view t) const { return kind == k && text == t; }
  [[nodiscard]] bool is_punctuation(std::string_view t) const { return is(Kind::kPunctuation, t); }
};

Result<std::vector<Token>> tokenize(std::string_view source);

// The character that stands at `at`, with Go's escapes resolved and appended to `out`; moves `at`.
// False: the escape is none.
bool unescape(std::string_view text, size_t& at, std::string& out);

// An error of the template, with the line and column of the place.
tl::unexpected<Error> error_at(std::string_view source, size_t offset, std::string message);

}  // namespace llmrun::chat::go_template
