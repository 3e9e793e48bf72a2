// What a command is: a table of options, words for the help, and something to execute.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cli/option_table.h"
#include "llmrun/error.h"

namespace llmrun::cli {

struct Example {
  std::string command;
  std::string what;
};

// A command's constructor fills the public fields; execute() runs after a successful parse.
class Command {
 public:
  virtual ~Command() = default;
  virtual Result<void> execute() = 0;
  // Errors are then printed as JSON, too.
  [[nodiscard]] virtual bool wants_json() const { return json; }

  OptionTable options;
  std::string description;  // paragraphs for --help and the man page, separated by empty lines
  std::vector<Example> examples;
  bool json = false;  // set by the option that add_json_option() adds

 protected:
  void add_json_option() {
    options.add_switch("json", 0, "print the result as JSON, and errors too", &json);
  }
};

struct CommandEntry {
  std::string_view name;
  std::string_view summary;
  std::unique_ptr<Command> (*make)();
};

// One entry per line of commands.def.
std::span<const CommandEntry> command_table();
const CommandEntry* find_command(std::string_view name);

}  // namespace llmrun::cli
