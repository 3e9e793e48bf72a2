// The table of commands, made from commands.def.
#include "cli/command.h"

namespace llmrun::cli {

#define LLMRUN_COMMAND(name, summary) std::unique_ptr<Command> make_##name##_command();
#include "cli/commands.def"
#undef LLMRUN_COMMAND

namespace {
constexpr CommandEntry kCommands[] = {
#define LLMRUN_COMMAND(name, summary) {#name, summary, &make_##name##_command},
#include "cli/commands.def"
#undef LLMRUN_COMMAND
};
}  // namespace

std::span<const CommandEntry> command_table() { return kCommands; }

const CommandEntry* find_command(std::string_view name) {
  for (const CommandEntry& entry : kCommands) {
    if (entry.name == name) return &entry;
  }
  return nullptr;
}

}  // namespace llmrun::cli
