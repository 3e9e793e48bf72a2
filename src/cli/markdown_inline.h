// Inline Markdown of one line, and the printer of styled words below it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace llmrun::cli {

// How a character looks: a set of bits.
using Style = uint8_t;
inline constexpr Style kPlain = 0, kBold = 1, kItalic = 2, kUnderline = 4, kStrike = 8, kDim = 16,
                       kCode = 32;

// The escape sequence that sets exactly this style.
std::string style_sequence(Style style);

// Receives one whole character at a time.
using StyledSink = std::function<void(std::string_view character, Style style)>;

// Emphasis, code spans and links of one line, fed character by character. What may be the beginning
// of a span is held back until it closes; a marker that never closes is shown as it was written, so
// no character is lost. A span is at most kMaxHeld bytes long.
class InlineParser {
 public:
  static constexpr size_t kMaxHeld = 400;

  explicit InlineParser(StyledSink sink, Style base = kPlain)
      : sink_(std::move(sink)), base_(base) {}

  void set_base(Style base) { base_ = base; }
  void feed(std::string_view character);
  // The line is over: everything held back comes out.
  void end_line();

 private:
  void drain(bool at_end);
  // Each consumes something from the front of held_, or returns false to wait for more.
  bool take_one(bool at_end);
  bool take_escape(bool at_end);
  bool take_code(bool at_end);
  bool take_emphasis(bool at_end);
  bool take_link(bool at_end);
  void take_literal(size_t n_bytes);
  void emit(std::string_view text, Style style);
  void emit_nested(std::string_view text, Style style);
  [[nodiscard]] bool wait(bool at_end) const { return !at_end && held_.size() <= kMaxHeld; }

  StyledSink sink_;
  Style base_;
  std::string held_;
  char before_ = ' ';  // the last byte that left held_; a space at the start of the line
};

// Writes styled characters in lines of at most `width` columns, broken between words.
class WordWrapper {
 public:
  WordWrapper(std::function<void(std::string_view)> out, int width)
      : out_(std::move(out)), width_(width) {}

  void put(std::string_view character, Style style);
  // Starts a line: `first` is printed now, `rest` before every line that wrapping makes.
  void begin_line(std::string_view first, std::string_view rest, Style prefix_style);
  void end_line();
  // Text that is not wrapped (code).
  void put_raw(std::string_view text, Style style);
  // Ends the style, so that other output can follow.
  void reset();
  [[nodiscard]] bool at_line_start() const { return column_ == 0 && word_.empty(); }

 private:
  struct Piece {
    std::string text;
    Style style;
  };
  void flush_word();
  void print(std::string_view text, Style style);

  std::function<void(std::string_view)> out_;
  int width_;
  int column_ = 0;
  std::vector<Piece> word_;
  int word_width_ = 0;
  int spaces_ = 0;
  Style space_style_ = kPlain;
  Style shown_ = kPlain;  // what the terminal is set to
  std::string rest_prefix_;
  Style prefix_style_ = kPlain;
  int prefix_width_ = 0;
};

}  // namespace llmrun::cli
