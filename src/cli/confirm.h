// Asks a person before something large or final happens.
#pragma once

#include <string>

#include "llmrun/error.h"

namespace llmrun::cli {

// A person can be asked: stdin and stderr are terminals.
bool can_ask();
// "question [y/N] " on stderr; true for yes. End of input counts as no.
bool ask(const std::string& question);
// Nothing to do when `yes`; asks on a terminal. kInterrupted when the answer was no; kUsage without
// a terminal, naming --yes.
Result<void> confirm(const std::string& question, bool yes);

}  // namespace llmrun::cli
