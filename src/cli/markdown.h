// Prints Markdown on a terminal while it streams in. Text appears as it comes; only what may still
// turn out to be markup (an open **, a table) waits. The result does not depend on how the text is
// cut into pieces, and no visible character is lost or moved.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/markdown_inline.h"

namespace llmrun::cli {

class MarkdownPrinter {
 public:
  MarkdownPrinter(std::function<void(std::string_view)> out, int width);

  // Any piece of the text, also a part of a character.
  void write(std::string_view text);
  // Prints what is held back and ends the line and the style.
  void finish();

 private:
  enum class State { kLineStart, kText, kCodeStart, kCodeLine };

  void put(std::string_view character);
  void put_line_start(std::string_view character);
  void put_code_start(std::string_view character);
  void put_code(std::string_view character);
  void put_text(std::string_view character);

  // True when `start_` can still become a block marker with more characters.
  [[nodiscard]] bool may_become_block() const;
  void begin_block();        // decides by start_ and begins a line
  void end_of_start_line();  // a newline came while start_ was undecided
  void begin_text(std::string_view marker, std::string_view first, Style style);
  void open_fence(std::string_view line);
  void print_table();
  void print_table_rows();

  std::function<void(std::string_view)> out_;
  int width_;
  WordWrapper wrapper_;
  InlineParser inline_;
  State state_ = State::kLineStart;
  std::string partial_;             // the beginning of a character
  std::string start_;               // the beginning of a line that is not decided yet
  std::string quote_;               // "│ " for each level of quotation of this line
  std::vector<std::string> table_;  // lines that begin with |
  char fence_mark_ = 0;
  size_t fence_length_ = 0;
};

}  // namespace llmrun::cli
