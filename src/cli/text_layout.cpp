// Display widths, word wrap and plain tables.
#include "cli/text_layout.h"

#include <utf8proc.h>

#include <algorithm>

#include "base/utf8.h"

namespace llmrun::cli {

int character_width(uint32_t code_point) {
  if (code_point < 0x20) return 0;
  if (code_point < 0x7F) return 1;
  return utf8proc_charwidth(static_cast<utf8proc_int32_t>(code_point));
}

int display_width(std::string_view text) {
  int width = 0;
  for (size_t i = 0; i < text.size();) {
    const utf8::Decoded character = utf8::decode(text, i);
    width += character_width(character.code_point);
    i += std::max<size_t>(1, character.length);
  }
  return width;
}

std::string shorten(std::string_view text, int width) {
  if (display_width(text) <= width) return std::string(text);
  std::string shortened;
  int used = 1;  // the ellipsis
  for (size_t i = 0; i < text.size();) {
    const utf8::Decoded character = utf8::decode(text, i);
    used += character_width(character.code_point);
    if (used > width) break;
    const size_t length = std::max<size_t>(1, character.length);
    shortened.append(text, i, length);
    i += length;
  }
  return shortened + "…";
}

std::string wrap_words(std::string_view text, int width, int indent) {
  std::string wrapped;
  int column = 0;
  for (size_t i = 0; i < text.size();) {
    const size_t end = std::min(text.find_first_of(" \n", i), text.size());
    const std::string_view word = text.substr(i, end - i);
    i = end + 1;
    if (word.empty()) continue;
    const int word_width = display_width(word);
    if (!wrapped.empty() && column + 1 + word_width > width) {
      wrapped += "\n" + std::string(static_cast<size_t>(indent), ' ');
      column = indent;
    } else if (!wrapped.empty()) {
      wrapped += ' ';
      ++column;
    }
    wrapped += word;
    column += word_width;
  }
  return wrapped;
}

void TextTable::add_column(std::string title, Align align) {
  titles_.push_back(std::move(title));
  aligns_.push_back(align);
}

void TextTable::add_row(std::vector<std::string> cells) {
  cells.resize(titles_.size());
  rows_.push_back(std::move(cells));
}

std::string TextTable::text() const {
  std::vector<int> widths;
  for (const std::string& title : titles_) widths.push_back(display_width(title));
  for (const auto& row : rows_) {
    for (size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], display_width(row[c]));
  }
  std::string text;
  const auto add_line = [&](const std::vector<std::string>& cells) {
    std::string line;
    for (size_t c = 0; c < cells.size(); ++c) {
      const std::string pad(static_cast<size_t>(widths[c] - display_width(cells[c])), ' ');
      if (c > 0) line += "  ";
      line += aligns_[c] == Align::kRight ? pad + cells[c] : cells[c] + pad;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  };
  add_line(titles_);
  for (const auto& row : rows_) add_line(row);
  return text;
}

}  // namespace llmrun::cli
