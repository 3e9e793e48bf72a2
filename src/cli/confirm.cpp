// Questions with yes or no; see confirm.h.
#include "cli/confirm.h"

#include <unistd.h>

#include <cstdio>

#include "base/error.h"
#include "base/terminal.h"

namespace llmrun::cli {

bool can_ask() { return is_terminal(STDIN_FILENO) && is_terminal(STDERR_FILENO); }

bool ask(const std::string& question) {
  (void)std::fflush(stdout);
  (void)std::fprintf(stderr, "%s [y/N] ", question.c_str());
  char first = 0;
  for (char c = 0; read(STDIN_FILENO, &c, 1) == 1 && c != '\n';) {
    if (first == 0 && c != ' ') first = c;
  }
  return first == 'y' || first == 'Y';
}

Result<void> confirm(const std::string& question, bool yes) {
  if (yes) return {};
  if (!can_ask()) {
    return make_error(ErrorCode::kUsage, "{} There is no terminal to ask on; say --yes", question);
  }
  if (ask(question)) return {};
  return make_error(ErrorCode::kInterrupted, "not done");
}

}  // namespace llmrun::cli
