// The blocks of Markdown: one line at a time, code between fences, tables when they are complete.
#include "cli/markdown.h"

#include <algorithm>
#include <cctype>
#include <utility>

#include "base/utf8.h"
#include "cli/text_layout.h"

namespace llmrun::cli {
namespace {

bool is_digit(char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; }

std::string_view without_indent(std::string_view line) {
  return line.substr(std::min(line.find_first_not_of(' '), line.size()));
}

// Only marks, three or more, and spaces: a horizontal rule.
bool is_rule(std::string_view text) {
  if (text.empty() || (text[0] != '-' && text[0] != '*' && text[0] != '_')) return false;
  const auto marks = std::count(text.begin(), text.end(), text[0]);
  const auto spaces = std::count(text.begin(), text.end(), ' ');
  return marks >= 3 && static_cast<size_t>(marks + spaces) == text.size();
}

size_t run_length(std::string_view text) {
  size_t n = 0;
  while (n < text.size() && text[n] == text[0]) ++n;
  return n;
}

// The length of "- " or "12. " at the front; 0: neither.
size_t list_marker_length(std::string_view text) {
  if (text.size() >= 2 && (text[0] == '-' || text[0] == '*' || text[0] == '+') && text[1] == ' ') {
    return 2;
  }
  size_t digits = 0;
  while (digits < text.size() && digits < 10 && is_digit(text[digits])) ++digits;
  const bool ordered = digits > 0 && digits < 10 && digits + 1 < text.size() &&
                       (text[digits] == '.' || text[digits] == ')') && text[digits + 1] == ' ';
  return ordered ? digits + 2 : 0;
}

// "| a | b |" → {"a", "b"}; \| is a bar.
std::vector<std::string> split_cells(std::string_view line) {
  std::vector<std::string> cells(1);
  line = without_indent(line);
  for (size_t i = line.starts_with('|') ? 1 : 0; i < line.size(); ++i) {
    if (line[i] == '\\' && i + 1 < line.size() && line[i + 1] == '|') {
      cells.back() += line[++i];
    } else if (line[i] == '|') {
      cells.emplace_back();
    } else {
      cells.back() += line[i];
    }
  }
  for (std::string& cell : cells) {
    cell.erase(0, std::min(cell.find_first_not_of(" \t"), cell.size()));
    cell.erase(cell.find_last_not_of(" \t") + 1);
  }
  if (cells.size() > 1 && cells.back().empty()) cells.pop_back();
  return cells;
}

bool is_delimiter_row(std::string_view line) {
  return line.find('-') != std::string_view::npos &&
         line.find_first_not_of(" |:-\t") == std::string_view::npos;
}

struct Cell {
  std::string text;  // with escape sequences
  int width = 0;
};

Cell render_cell(std::string_view text, Style base) {
  Cell cell;
  Style shown = kPlain;
  InlineParser parser(
      [&](std::string_view character, Style style) {
        if (style != shown) cell.text += style_sequence(style);
        shown = style;
        cell.text += character;
        cell.width += character_width(utf8::decode(character).code_point);
      },
      base);
  for (size_t i = 0; i < text.size();) {
    const size_t length = std::max<size_t>(1, utf8::decode(text, i).length);
    parser.feed(text.substr(i, length));
    i += length;
  }
  parser.end_line();
  if (shown != kPlain) cell.text += style_sequence(kPlain);
  return cell;
}

}  // namespace

MarkdownPrinter::MarkdownPrinter(std::function<void(std::string_view)> out, int width)
    : out_(std::move(out)),
      width_(std::max(20, width)),
      wrapper_(out_, width_),
      inline_([this](std::string_view character, Style style) { wrapper_.put(character, style); }) {
}

void MarkdownPrinter::write(std::string_view text) {
  partial_ += text;
  const size_t complete = utf8::complete_prefix(partial_);
  const std::string ready = partial_.substr(0, complete);
  partial_.erase(0, complete);
  for (size_t i = 0; i < ready.size();) {
    const utf8::Decoded character = utf8::decode(ready, i);
    const size_t length = std::max<size_t>(1, character.length);
    const uint32_t c = character.code_point;
    if (!character.valid || (c < 0x20 && c != '\n' && c != '\t' && c != '\r') ||
        (c >= 0x7F && c < 0xA0)) {
      put("\xEF\xBF\xBD");  // an escape sequence in an answer must not reach the terminal
    } else if (c != '\r') {
      put(std::string_view(ready).substr(i, length));
    }
    i += length;
  }
}

void MarkdownPrinter::put(std::string_view character) {
  switch (state_) {
    case State::kLineStart:
      return put_line_start(character);
    case State::kText:
      return put_text(character);
    case State::kCodeStart:
      return put_code_start(character);
    case State::kCodeLine:
      return put_code(character);
  }
}

void MarkdownPrinter::put_line_start(std::string_view character) {
  if (character == "\n") {
    end_of_start_line();
    return;
  }
  start_ += character;
  if (!may_become_block()) begin_block();
}

bool MarkdownPrinter::may_become_block() const {
  const std::string_view text = without_indent(start_);
  if (text.empty()) return true;
  const char c = text[0];
  if (c == '|') return true;  // a table's line is kept whole
  if (c == '>') return text.size() == 1;
  if (c == '#') return run_length(text) == text.size() && text.size() <= 6;
  if (c == '`' || c == '~') {
    const size_t n = run_length(text);
    // With three marks the rest of the line is the name of the language, which has no backtick.
    return n == text.size() || (n >= 3 && text.find('`', n) == std::string_view::npos);
  }
  if (c == '-' || c == '+')
    return text.find_first_not_of("-+ ") == std::string_view::npos && list_marker_length(text) == 0;
  if (c == '*' || c == '_') return text.find_first_not_of(c) == std::string_view::npos;
  if (is_digit(c)) {
    const size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
    const bool more = digits == text.size() ||
                      (digits + 1 == text.size() && (text[digits] == '.' || text[digits] == ')'));
    return digits < 10 && more;
  }
  return false;
}

void MarkdownPrinter::begin_block() {
  if (!table_.empty()) print_table();
  const std::string line = std::exchange(start_, "");
  const std::string_view text = without_indent(line);
  const std::string indent(line.size() - text.size(), ' ');
  if (text[0] == '>') {
    // The rest of the line is a block of its own.
    quote_ += indent + "│ ";
    std::string_view rest = text.substr(1);
    if (rest.starts_with(' ')) rest.remove_prefix(1);
    if (!rest.empty()) put_line_start(rest);  // at most one character
    return;
  }
  const size_t marks = text[0] == '#' ? run_length(text) : 0;
  if (marks >= 1 && marks <= 6 && text.size() > marks && text[marks] == ' ') {
    begin_text("", indent, marks == 1 ? static_cast<Style>(kBold | kUnderline) : kBold);
    return;
  }
  if (const size_t length = list_marker_length(text); length > 0) {
    const bool bullet = !is_digit(text[0]);
    const std::string marker = bullet ? "• " : std::string(text.substr(0, length));
    begin_text(marker, indent, kPlain);
    for (const char c : text.substr(length)) put_text(std::string_view(&c, 1));
    return;
  }
  begin_text("", indent, kPlain);
  for (size_t i = 0; i < text.size();) {
    const size_t length = std::max<size_t>(1, utf8::decode(text, i).length);
    put_text(text.substr(i, length));
    i += length;
  }
}

void MarkdownPrinter::begin_text(std::string_view marker, std::string_view indent, Style style) {
  const std::string first = quote_ + std::string(indent) + std::string(marker);
  const std::string rest =
      quote_ + std::string(indent) + std::string(static_cast<size_t>(display_width(marker)), ' ');
  wrapper_.begin_line(first, rest, quote_.empty() ? kPlain : kDim);
  inline_.set_base(style);
  quote_.clear();
  state_ = State::kText;
}

void MarkdownPrinter::put_text(std::string_view character) {
  if (character != "\n") {
    inline_.feed(character);
    return;
  }
  inline_.end_line();
  wrapper_.end_line();
  state_ = State::kLineStart;
}

void MarkdownPrinter::end_of_start_line() {
  const std::string_view text = without_indent(start_);
  if (text.starts_with('|') && quote_.empty()) {
    table_.push_back(std::exchange(start_, ""));
    return;
  }
  if (!table_.empty()) print_table();
  if (text.starts_with("```") || text.starts_with("~~~")) {
    open_fence(std::exchange(start_, ""));
    return;
  }
  if (is_rule(text)) {
    start_.clear();
    std::string rule;
    for (int i = 0; i < std::min(width_, 40); ++i) rule += "─";
    wrapper_.begin_line(quote_, "", kDim);
    quote_.clear();
    wrapper_.put_raw(rule, kDim);
    wrapper_.end_line();
    return;
  }
  if (text.empty()) {
    start_.clear();
    wrapper_.begin_line(quote_, "", kDim);
    quote_.clear();
    wrapper_.end_line();
    return;
  }
  begin_block();
  if (state_ == State::kText) {
    put_text("\n");
  } else {
    end_of_start_line();  // a lone '>': an empty line of the quotation
  }
}

void MarkdownPrinter::open_fence(std::string_view line) {
  const std::string_view text = without_indent(line);
  fence_mark_ = text[0];
  fence_length_ = run_length(text);
  wrapper_.begin_line(quote_, "", kDim);
  quote_.clear();
  wrapper_.put_raw(line, kDim);
  wrapper_.end_line();
  state_ = State::kCodeStart;
}

// The line may be the closing fence; anything else comes out at once.
void MarkdownPrinter::put_code_start(std::string_view character) {
  const std::string_view before = without_indent(start_);
  const bool closed = before.size() >= fence_length_;
  if (character == "\n") {
    const bool is_fence = closed && run_length(before) >= fence_length_;
    wrapper_.put_raw(start_, is_fence ? kDim : kCode);
    wrapper_.end_line();
    start_.clear();
    if (is_fence) state_ = State::kLineStart;
    return;
  }
  start_ += character;
  const std::string_view text = without_indent(start_);
  const size_t last = text.find_last_not_of(" \t");
  const bool only_marks =
      last == std::string_view::npos ||
      text.substr(0, last + 1).find_first_not_of(fence_mark_) == std::string_view::npos;
  const bool spaces_behind = last != std::string_view::npos && last + 1 < text.size();
  if (start_.size() <= 64 && only_marks && !(spaces_behind && last + 1 < fence_length_)) return;
  wrapper_.put_raw(std::exchange(start_, ""), kCode);
  state_ = State::kCodeLine;
}

void MarkdownPrinter::put_code(std::string_view character) {
  if (character != "\n") {
    wrapper_.put_raw(character, kCode);
    return;
  }
  wrapper_.end_line();
  state_ = State::kCodeStart;
}

void MarkdownPrinter::print_table() {
  if (table_.size() >= 2 && is_delimiter_row(table_[1])) {
    print_table_rows();
  } else {
    for (const std::string& line : table_) {
      wrapper_.put_raw(line, kPlain);
      wrapper_.end_line();
    }
  }
  table_.clear();
}

void MarkdownPrinter::print_table_rows() {
  std::vector<std::vector<Cell>> rows;
  std::vector<int> widths;
  for (size_t r = 0; r < table_.size(); ++r) {
    if (r == 1) continue;
    std::vector<Cell> row;
    for (const std::string& text : split_cells(table_[r])) {
      row.push_back(render_cell(text, r == 0 ? kBold : kPlain));
      if (widths.size() < row.size()) widths.push_back(0);
      widths[row.size() - 1] = std::max(widths[row.size() - 1], row.back().width);
    }
    rows.push_back(std::move(row));
  }
  int total = 0;
  for (const int width : widths) total += width + 3;
  if (total - 3 > width_) {  // too wide to be aligned: as it was written
    for (const std::string& line : table_) out_(line + "\n");
    return;
  }
  for (size_t r = 0; r < rows.size(); ++r) {
    std::string line;
    for (size_t c = 0; c < widths.size(); ++c) {
      const Cell cell = c < rows[r].size() ? rows[r][c] : Cell{};
      line += (c > 0 ? " │ " : "") + cell.text;
      if (c + 1 < widths.size()) line.append(static_cast<size_t>(widths[c] - cell.width), ' ');
    }
    out_(line + "\n");
    if (r > 0) continue;
    std::string rule;
    for (size_t c = 0; c < widths.size(); ++c) {
      if (c > 0) rule += "─┼─";
      for (int i = 0; i < widths[c]; ++i) rule += "─";
    }
    out_(rule + "\n");
  }
}

void MarkdownPrinter::finish() {
  if (!partial_.empty()) put("\xEF\xBF\xBD");
  partial_.clear();
  const bool open_line =
      state_ == State::kText || state_ == State::kCodeLine || !start_.empty() || !quote_.empty();
  if (open_line) put("\n");
  if (!table_.empty()) print_table();
  wrapper_.reset();
  state_ = State::kLineStart;
}

}  // namespace llmrun::cli
