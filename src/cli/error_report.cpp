// Words, names and exit codes of errors.
#include "cli/error_report.h"

#include <unistd.h>

#include <cstdio>

#include "base/terminal.h"
#include "cli/json.h"

namespace llmrun::cli {

int exit_code(ErrorCode code) {
  switch (code) {
    case ErrorCode::kUsage:
    case ErrorCode::kContextOverflow:
      return 2;
    case ErrorCode::kNotFound:
      return 3;
    case ErrorCode::kBadModel:
    case ErrorCode::kUnsupported:
      return 4;
    case ErrorCode::kOutOfMemory:
      return 5;
    case ErrorCode::kNetwork:
      return 6;
    case ErrorCode::kInterrupted:
      return 130;
    case ErrorCode::kIo:
    case ErrorCode::kInternal:
      break;
  }
  return 1;
}

std::string_view error_name(ErrorCode code) {
  switch (code) {
    case ErrorCode::kUsage:
      return "usage";
    case ErrorCode::kContextOverflow:
      return "context_length_exceeded";
    case ErrorCode::kNotFound:
      return "not_found";
    case ErrorCode::kBadModel:
      return "bad_model";
    case ErrorCode::kUnsupported:
      return "unsupported";
    case ErrorCode::kOutOfMemory:
      return "out_of_memory";
    case ErrorCode::kNetwork:
      return "network";
    case ErrorCode::kInterrupted:
      return "interrupted";
    case ErrorCode::kIo:
      return "io";
    case ErrorCode::kInternal:
      break;
  }
  return "internal";
}

std::string error_text(const Error& error) {
  std::string text = "llmrun: error: ";
  if (!error.context.empty()) text += error.context + ": ";
  return text + error.message;
}

std::string error_json(const Error& error) {
  Json json;
  json["error"] = {{"code", error_name(error.code)},
                   {"exit_code", exit_code(error.code)},
                   {"message", error.message},
                   {"context", error.context}};
  return to_text(json);
}

int report_error(const Error& error, bool as_json) {
  // What was printed before comes first when both go to one terminal.
  (void)std::fflush(stdout);
  if (as_json) {
    (void)std::fprintf(stderr, "%s\n", error_json(error).c_str());
  } else if (error.code != ErrorCode::kInterrupted) {
    const bool color = wants_color(STDERR_FILENO);
    (void)std::fprintf(stderr, "%s%s%s\n", color ? "\x1b[31m" : "", error_text(error).c_str(),
                       color ? "\x1b[0m" : "");
  }
  return exit_code(error.code);
}

}  // namespace llmrun::cli
