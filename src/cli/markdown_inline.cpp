// Emphasis, code spans and links; word wrap with styles.
#include "cli/markdown_inline.h"

#include <algorithm>
#include <cctype>
#include <cstring>

#include "base/utf8.h"
#include "cli/text_layout.h"

namespace llmrun::cli {
namespace {

bool is_space(char c) { return c == ' ' || c == '\t'; }
// Letters and digits; every byte of a character beyond ASCII counts as neither, so that emphasis
// works between CJK characters, which have no spaces.
bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; }

size_t run_length(std::string_view text, size_t at) {
  size_t n = 0;
  while (at + n < text.size() && text[at + n] == text[at]) ++n;
  return n;
}

// Where a run of exactly n times `mark` begins that can close emphasis; npos: none yet.
// Code spans and escaped characters in between do not count.
size_t find_closing(std::string_view text, size_t from, char mark, size_t n, bool at_end) {
  for (size_t i = from; i < text.size();) {
    if (text[i] == '\\') {
      i += 2;
    } else if (text[i] == '`') {
      const size_t ticks = run_length(text, i);
      size_t j = i + ticks;
      while (j < text.size() && !(text[j] == '`' && run_length(text, j) == ticks)) {
        j += text[j] == '`' ? run_length(text, j) : 1;
      }
      i = j < text.size() ? j + ticks : i + ticks;
    } else if (text[i] == mark) {
      const size_t run = run_length(text, i);
      const bool complete = i + run < text.size() || at_end;
      const char after = i + run < text.size() ? text[i + run] : ' ';
      const bool closes = run == n && i > from && !is_space(text[i - 1]) &&
                          !(is_word(after) && (mark == '_' || n == 1));
      if (complete && closes) return i;
      i += run;
    } else {
      ++i;
    }
  }
  return std::string_view::npos;
}

}  // namespace

std::string style_sequence(Style style) {
  std::string codes = "\x1b[0";
  if ((style & kBold) != 0) codes += ";1";
  if ((style & kDim) != 0) codes += ";2";
  if ((style & kItalic) != 0) codes += ";3";
  if ((style & kUnderline) != 0) codes += ";4";
  if ((style & kStrike) != 0) codes += ";9";
  if ((style & kCode) != 0) codes += ";36";
  return codes + "m";
}

void InlineParser::feed(std::string_view character) {
  held_ += character;
  drain(false);
}

void InlineParser::end_line() {
  drain(true);
  before_ = ' ';
}

void InlineParser::drain(bool at_end) {
  while (!held_.empty() && take_one(at_end)) {
  }
}

bool InlineParser::take_one(bool at_end) {
  switch (held_[0]) {
    case '\\':
      return take_escape(at_end);
    case '`':
      return take_code(at_end);
    case '*':
    case '_':
    case '~':
      return take_emphasis(at_end);
    case '[':
      return take_link(at_end);
    default:
      // Up to the next character that may begin something.
      take_literal(std::min(held_.find_first_of("\\`*_~["), held_.size()));
      return true;
  }
}

// Only what would otherwise be markup loses its backslash: TeX's \( and \[ keep theirs.
bool InlineParser::take_escape(bool at_end) {
  if (held_.size() < 2 && !at_end) return false;
  if (held_.size() >= 2 && std::strchr("*_`~#|>", held_[1]) != nullptr) {
    held_.erase(0, 1);
    take_literal(1);
  } else {
    take_literal(1);
  }
  return true;
}

bool InlineParser::take_code(bool at_end) {
  const size_t ticks = run_length(held_, 0);
  if (ticks == held_.size() && !at_end) return false;
  for (size_t i = ticks; i < held_.size();) {
    if (held_[i] != '`') {
      ++i;
      continue;
    }
    const size_t run = run_length(held_, i);
    if (run == ticks) {
      // The run may still grow.
      if (i + run == held_.size() && !at_end) return false;
      std::string_view code = std::string_view(held_).substr(ticks, i - ticks);
      if (code.size() > 2 && code.front() == ' ' && code.back() == ' ') {
        code = code.substr(1, code.size() - 2);  // CommonMark: one space of padding is not content
      }
      emit(code, base_ | kCode);
      held_.erase(0, i + run);
      before_ = '`';
      return true;
    }
    i += run;
  }
  if (wait(at_end)) return false;
  take_literal(ticks);
  return true;
}

bool InlineParser::take_emphasis(bool at_end) {
  const char mark = held_[0];
  const size_t n = run_length(held_, 0);
  if (n == held_.size() && !at_end) return false;
  const char after = n < held_.size() ? held_[n] : ' ';
  const bool strong = n >= 2;
  // A single * between letters or digits is a product, _ is part of a name.
  const bool inside_word = is_word(before_) && (mark == '_' || !strong);
  const bool valid = mark == '~' ? n == 2 : n <= 3;
  if (!valid || is_space(after) || inside_word) {
    take_literal(n);
    return true;
  }
  const size_t close = find_closing(held_, n, mark, n, at_end);
  if (close == std::string::npos) {
    if (wait(at_end)) return false;
    take_literal(n);
    return true;
  }
  const Style style = mark == '~' ? kStrike
                      : n == 1    ? kItalic
                      : n == 2    ? kBold
                                  : static_cast<Style>(kBold | kItalic);
  const std::string inner = held_.substr(n, close - n);
  held_.erase(0, close + n);
  emit_nested(inner, static_cast<Style>(base_ | style));
  before_ = mark;
  return true;
}

// [text](address) becomes the underlined text and the address behind it.
bool InlineParser::take_link(bool at_end) {
  const size_t text_end = held_.find(']');
  const bool has_text = text_end != std::string::npos;
  if (!has_text || text_end + 1 >= held_.size()) {
    if (wait(at_end)) return false;
    take_literal(1);
    return true;
  }
  const size_t address_end = held_.find(')', text_end);
  const size_t stop = held_.find(' ', text_end);
  if (held_[text_end + 1] != '(' || text_end == 1 || stop < address_end) {
    take_literal(1);
    return true;
  }
  if (address_end == std::string::npos) {
    if (wait(at_end)) return false;
    take_literal(1);
    return true;
  }
  const std::string text = held_.substr(1, text_end - 1);
  const std::string address = held_.substr(text_end + 2, address_end - text_end - 2);
  held_.erase(0, address_end + 1);
  emit_nested(text, static_cast<Style>(base_ | kUnderline));
  if (!address.empty() && address != text) {
    emit(" (" + address + ")", static_cast<Style>(base_ | kDim));
  }
  before_ = ')';
  return true;
}

void InlineParser::take_literal(size_t n_bytes) {
  const std::string text = held_.substr(0, n_bytes);
  held_.erase(0, n_bytes);
  emit(text, base_);
  before_ = text.back();
}

void InlineParser::emit(std::string_view text, Style style) {
  for (size_t i = 0; i < text.size();) {
    const size_t length = std::max<size_t>(1, utf8::decode(text, i).length);
    sink_(text.substr(i, length), style);
    i += length;
  }
}

// Spans inside a span; the depth is bounded, because every level takes its marks off kMaxHeld.
void InlineParser::emit_nested(std::string_view text, Style style) {
  InlineParser inner(sink_, style);
  inner.held_ = text;
  inner.end_line();
}

void WordWrapper::put(std::string_view character, Style style) {
  if (is_space(character[0])) {
    flush_word();
    ++spaces_;
    space_style_ = style;
    return;
  }
  const int width = character_width(utf8::decode(character).code_point);
  if (width == 2) flush_word();  // a line may break before and after a CJK character
  if (word_.empty() || word_.back().style != style) word_.push_back({"", style});
  word_.back().text += character;
  word_width_ += width;
  if (width == 2) flush_word();
}

void WordWrapper::flush_word() {
  if (word_.empty()) return;
  if (column_ + spaces_ + word_width_ > width_ && column_ > prefix_width_) {
    print("\n", kPlain);
    print(rest_prefix_, prefix_style_);
    column_ = prefix_width_;
  } else {
    const bool visible_space = (space_style_ & (kUnderline | kStrike | kCode)) != 0;
    print(std::string(static_cast<size_t>(spaces_), ' '), visible_space ? space_style_ : shown_);
    column_ += spaces_;
  }
  spaces_ = 0;
  for (const Piece& piece : word_) print(piece.text, piece.style);
  column_ += word_width_;
  word_.clear();
  word_width_ = 0;
}

void WordWrapper::begin_line(std::string_view first, std::string_view rest, Style prefix_style) {
  print(first, prefix_style);
  column_ = display_width(first);
  rest_prefix_ = rest;
  prefix_width_ = display_width(rest);
  prefix_style_ = prefix_style;
}

void WordWrapper::end_line() {
  flush_word();
  spaces_ = 0;
  print("\n", kPlain);
  column_ = 0;
  rest_prefix_.clear();
  prefix_width_ = 0;
}

void WordWrapper::put_raw(std::string_view text, Style style) {
  flush_word();
  print(text, style);
  column_ += display_width(text);
}

void WordWrapper::reset() {
  flush_word();
  if (shown_ != kPlain) out_(style_sequence(kPlain));
  shown_ = kPlain;
}

void WordWrapper::print(std::string_view text, Style style) {
  if (text.empty()) return;
  if (style != shown_) {
    out_(style_sequence(style));
    shown_ = style;
  }
  out_(text);
}

}  // namespace llmrun::cli
