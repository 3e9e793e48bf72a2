// Tells an error to the user: once, on stderr, with an exit code by kind.
#pragma once

#include <string>
#include <string_view>

#include "llmrun/error.h"

namespace llmrun::cli {

// The codes that the comments in llmrun/error.h and the man page give.
int exit_code(ErrorCode code);
// The stable name for programs: "not_found", "context_length_exceeded", …
std::string_view error_name(ErrorCode code);

std::string error_text(const Error& error);  // "llmrun: error: x.gguf: …"
std::string error_json(const Error& error);  // {"error":{"code":…,"exit_code":…,…}}

// Prints the error and returns its exit code. An interruption by the user needs no words.
int report_error(const Error& error, bool as_json);

}  // namespace llmrun::cli
