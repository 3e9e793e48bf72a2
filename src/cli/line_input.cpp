// Splits inputs of one text per line.
#include "cli/line_input.h"

#include <algorithm>

#include "base/error.h"
#include "cli/output.h"

namespace llmrun::cli {

std::vector<std::string> split_lines(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    lines.emplace_back(line);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

Result<std::vector<std::string>> read_lines(const std::string& path) {
  LLMRUN_ASSIGN(const std::string text, read_input(path));
  return split_lines(text);
}

}  // namespace llmrun::cli
