// `llmrun man`.
#include "cli/command.h"
#include "cli/help.h"
#include "cli/output.h"

namespace llmrun::cli {
namespace {

class ManCommand : public Command {
 public:
  ManCommand() {
    description = "The page is made from the same table as --help.";
    examples = {{"llmrun man | man -l -", "read it"},
                {"llmrun man > ~/.local/share/man/man1/llmrun.1", "install it"}};
  }

  Result<void> execute() override {
    write_out(man_page());
    return {};
  }
};

}  // namespace

std::unique_ptr<Command> make_man_command() { return std::make_unique<ManCommand>(); }

}  // namespace llmrun::cli
