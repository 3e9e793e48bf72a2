// Columns on a terminal: display width, word wrap, tables.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace llmrun::cli {

int character_width(uint32_t code_point);  // 0, 1 or 2 columns
int display_width(std::string_view text);  // of text without escape sequences

// At most `width` columns; a longer text ends in "…".
std::string shorten(std::string_view text, int width);

// Words in lines of at most `width` columns, each line after the first led by `indent` spaces.
std::string wrap_words(std::string_view text, int width, int indent);

enum class Align : uint8_t { kLeft, kRight };

// A table with a header line, columns two spaces apart.
class TextTable {
 public:
  void add_column(std::string title, Align align = Align::kLeft);
  void add_row(std::vector<std::string> cells);
  [[nodiscard]] size_t n_rows() const { return rows_.size(); }
  [[nodiscard]] std::string text() const;

 private:
  std::vector<std::string> titles_;
  std::vector<Align> aligns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace llmrun::cli
