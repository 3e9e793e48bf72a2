// Runs other programs: no shell, arguments as they are.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "llmrun/error.h"

namespace llmrun::store {

// Runs the program found on PATH with its stdout sent to our stderr; returns its exit status (127
// when it could not be started, 128 + signal when a signal ended it).
int run_child(const std::vector<std::string>& arguments);

// Runs it and hands its stdout to `sink` piece by piece. An error of the sink ends the program and
// is returned; an exit status other than 0 is kNetwork (what runs here brings bytes from
// elsewhere).
Result<void> read_from_child(const std::vector<std::string>& arguments,
                             const std::function<Result<void>(std::span<const std::byte>)>& sink);

}  // namespace llmrun::store
