// The /commands of the interactive chat that have files of their own, and what they share.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "llmrun/error.h"

namespace llmrun::cli {

class InteractiveChat;

// Splits "word rest".
std::pair<std::string, std::string> first_word(std::string_view text);
// A text that may stand in """.
std::string unquoted(std::string text);

Result<void> command_set(InteractiveChat& chat, const std::string& argument);
void show_settings(InteractiveChat& chat);
Result<void> command_context(InteractiveChat& chat, const std::string& argument);

}  // namespace llmrun::cli
