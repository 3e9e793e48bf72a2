// Help, manual page and shell completions, all made from the table of commands.
#pragma once

#include <string>
#include <string_view>

#include "cli/command.h"

namespace llmrun::cli {

std::string usage_line(std::string_view name, const Command& command);
std::string command_help(const CommandEntry& entry, const Command& command, int width);
std::string program_help(int width);

std::string man_page();         // roff, section 1
std::string bash_completion();  // to be sourced
std::string zsh_completion();   // a file "_llmrun" in a folder of $fpath
std::string fish_completion();

}  // namespace llmrun::cli
