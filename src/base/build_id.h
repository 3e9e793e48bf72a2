// Which build of this program runs.
#pragma once

#include <string>

namespace llmrun {

// The linker's id of the program or library that this code is part of, in hexadecimal: another
// build has another one. Empty when it was linked without.
std::string build_id();

}  // namespace llmrun
