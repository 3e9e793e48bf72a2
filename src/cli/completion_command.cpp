// `llmrun completion SHELL`.
#include "cli/command.h"
#include "cli/help.h"
#include "cli/output.h"

namespace llmrun::cli {
namespace {

class CompletionCommand : public Command {
 public:
  CompletionCommand() {
    options.add_text_argument("SHELL", "bash, zsh or fish", &shell_).choices = {"bash", "zsh",
                                                                                "fish"};
    examples = {{"source <(llmrun completion bash)", "for the running bash"},
                {"llmrun completion fish > ~/.config/fish/completions/llmrun.fish", "for good"}};
  }

  Result<void> execute() override {
    write_out(shell_ == "bash"  ? bash_completion()
              : shell_ == "zsh" ? zsh_completion()
                                : fish_completion());
    return {};
  }

 private:
  std::string shell_;
};

}  // namespace

std::unique_ptr<Command> make_completion_command() { return std::make_unique<CompletionCommand>(); }

}  // namespace llmrun::cli
