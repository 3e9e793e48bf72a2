// Texts as commands take many of them: one on a line.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "llmrun/error.h"

namespace llmrun::cli {

// The lines without their ends ("\n" or "\r\n"); an empty line is a text, the end of the last line
// begins none.
std::vector<std::string> split_lines(std::string_view text);
// Of a file, or of stdin for "-".
Result<std::vector<std::string>> read_lines(const std::string& path);

}  // namespace llmrun::cli
