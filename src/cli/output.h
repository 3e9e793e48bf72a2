// Standard output and input of commands: checked writing, whole-input reading, safe display.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>

#include "llmrun/error.h"

namespace llmrun::cli {

// Standard descriptors that the parent closed are filled, so that no file we open becomes "stdout";
// text is UTF-8 in every locale.
void prepare_process();

void write_out(std::string_view text);
void flush_out();
template <typename... Args>
void print(fmt::format_string<Args...> format, Args&&... args) {
  write_out(fmt::format(format, std::forward<Args>(args)...));
}
// Pretty JSON to a terminal, one line to a pipe; ends with a newline.
void print_json_text(std::string_view pretty, std::string_view compact);

// True once writing to stdout failed (closed, disk full); finish_output() tells why.
bool output_failed();
// Flushes stdout; kIo when anything could not be written.
Result<void> finish_output();

// Everything on stdin.
Result<std::string> read_stdin();
// A file, or stdin for "-".
Result<std::string> read_input(const std::string& path);

// For a terminal: text from a model or file with control characters (escape sequences!) made
// visible as U+FFFD. Newlines and tabs stay.
std::string safe_for_terminal(std::string_view text);

}  // namespace llmrun::cli
