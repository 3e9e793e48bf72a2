// The program: find the command, parse its options, run it, print an error once, return its exit
// code.
#include <unistd.h>

#include <algorithm>
#include <exception>
#include <new>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/terminal.h"
#include "cli/command.h"
#include "cli/error_report.h"
#include "cli/help.h"
#include "cli/output.h"
#include "llmrun/tools.h"

namespace llmrun::cli {
namespace {

tl::unexpected<Error> unknown_command(std::string_view name) {
  std::vector<std::string> known;
  for (const CommandEntry& entry : command_table()) known.emplace_back(entry.name);
  const std::string nearest = nearest_name(name, known);
  return make_error(ErrorCode::kUsage, "unknown command '{}'{}. See 'llmrun --help'", name,
                    nearest.empty() ? "" : fmt::format("; did you mean '{}'?", nearest));
}

// A word before "--" that asks for help; never the value of an option such as "--stop".
bool asks_for(std::span<const std::string> args, std::string_view word) {
  const auto end = std::find(args.begin(), args.end(), "--");
  return std::find(args.begin(), end, word) != end;
}

Result<void> run_command(const CommandEntry& entry, Command& command,
                         std::span<const std::string> args) {
  const bool wants_help = asks_for(args, "--help") || asks_for(args, "-h");
  if (wants_help) {
    write_out(command_help(entry, command, terminal_width(STDOUT_FILENO)));
    return {};
  }
  LLMRUN_TRY(command.options.parse(args, entry.name));
  try {
    return command.execute();
  } catch (const std::bad_alloc&) {
    return make_error(ErrorCode::kOutOfMemory, "not enough memory for 'llmrun {}'", entry.name);
  } catch (const std::exception& exception) {
    return make_error(ErrorCode::kInternal, "{}; this is a bug of llmrun", exception.what());
  }
}

int run_program(std::span<const std::string> args) {
  if (args.empty() || args[0] == "--help" || args[0] == "-h" || args[0] == "help") {
    if (args.size() > 1 && find_command(args[1]) != nullptr) {
      const std::string again[] = {args[1], "--help"};
      return run_program(again);
    }
    write_out(program_help(terminal_width(STDOUT_FILENO)));
    const Result<void> done = finish_output();
    return done ? (args.empty() ? 2 : 0) : report_error(done.error(), false);
  }
  if (args[0] == "--version" || args[0] == "-V" || args[0] == "version") {
    print("llmrun {}\n", version());
    const Result<void> done = finish_output();
    return done ? 0 : report_error(done.error(), false);
  }
  const CommandEntry* const entry = find_command(args[0]);
  if (entry == nullptr) return report_error(unknown_command(args[0]).value(), false);

  const std::unique_ptr<Command> command = entry->make();
  Result<void> done = run_command(*entry, *command, args.subspan(1));
  if (done || done.error().code == ErrorCode::kInterrupted) {
    if (const Result<void> written = finish_output(); !written && done) done = written;
  }
  const bool as_json = command->wants_json() || asks_for(args, "--json");
  return done ? 0 : report_error(done.error(), as_json);
}

}  // namespace
}  // namespace llmrun::cli

int main(int argc, char** argv) {
  llmrun::cli::prepare_process();
  const std::vector<std::string> args(argv + std::min(argc, 1), argv + argc);
  return llmrun::cli::run_program(args);
}
