// Checked writing to stdout and reading from stdin.
#include "cli/output.h"

#include <fcntl.h>
#include <langinfo.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <clocale>
#include <cstdio>
#include <cstring>

#include "base/error.h"
#include "base/file_io.h"
#include "base/terminal.h"
#include "base/utf8.h"

namespace llmrun::cli {
namespace {

// The first error of a write, since stdio only remembers that there was one.
int first_error = 0;

constexpr uint64_t kMaxInputBytes = uint64_t{1} << 30;

}  // namespace

void prepare_process() {
  for (int descriptor = 0; descriptor <= 2; ++descriptor) {
    if (fcntl(descriptor, F_GETFD) != -1 || errno != EBADF) continue;
    // The wrong direction on purpose: using it fails, as with a closed one.
    (void)open("/dev/null", descriptor == 0 ? O_WRONLY : O_RDONLY);
  }
  if (std::setlocale(LC_CTYPE, "") == nullptr || std::strcmp(nl_langinfo(CODESET), "UTF-8") != 0) {
    (void)std::setlocale(LC_CTYPE, "C.UTF-8");
  }
}

void write_out(std::string_view text) {
  if (first_error != 0) return;
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size()) first_error = errno;
}

void flush_out() {
  if (first_error == 0 && std::fflush(stdout) != 0) first_error = errno;
}

void print_json_text(std::string_view pretty, std::string_view compact) {
  write_out(is_terminal(STDOUT_FILENO) ? pretty : compact);
  write_out("\n");
}

bool output_failed() { return first_error != 0; }

Result<void> finish_output() {
  flush_out();
  if (first_error == 0) return {};
  return make_error(ErrorCode::kIo, "the output could not be written: {}",
                    std::strerror(first_error));
}

Result<std::string> read_stdin() {
  std::string text;
  std::array<char, 65536> chunk;
  while (true) {
    const ssize_t n = read(STDIN_FILENO, chunk.data(), chunk.size());
    if (n == 0) return text;
    if (n < 0) {
      if (errno == EINTR) {
        return tl::unexpected<Error>(Error{ErrorCode::kInterrupted, "interrupted", ""});
      }
      return make_error(ErrorCode::kIo, "cannot read standard input: {}", std::strerror(errno));
    }
    text.append(chunk.data(), static_cast<size_t>(n));
    if (text.size() > kMaxInputBytes) {
      return make_error(ErrorCode::kUsage,
                        "more than 1 GiB on standard input; give a file of text");
    }
  }
}

Result<std::string> read_input(const std::string& path) {
  if (path == "-") return read_stdin();
  return read_file(path, kMaxInputBytes);
}

std::string safe_for_terminal(std::string_view text) {
  std::string safe;
  safe.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const utf8::Decoded character = utf8::decode(text, i);
    const uint32_t c = character.code_point;
    const bool control = (c < 0x20 && c != '\n' && c != '\t') || (c >= 0x7F && c < 0xA0);
    if (!character.valid || control) {
      utf8::append(safe, utf8::kReplacement);
    } else {
      safe.append(text, i, character.length);
    }
    i += std::max<size_t>(1, character.length);
  }
  return safe;
}

}  // namespace llmrun::cli
