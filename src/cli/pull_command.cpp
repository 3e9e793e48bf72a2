// `llmrun pull`.
#include "base/error.h"
#include "cli/command.h"
#include "cli/output.h"
#include "store/resolver.h"

namespace llmrun::cli {
namespace {

class PullCommand : public Command {
 public:
  PullCommand() {
    description =
        "Brings a model of the catalogue into the local store. What arrives is checked against the "
        "catalogue's SHA-256; a download that was cut short never looks complete. A model that is "
        "there already is left as it is.";
    examples = {
        {"llmrun pull smollm2:135m", "fetch the default model"},
        {"llmrun show $(llmrun pull --print-path smollm2:135m)", "fetch it and look at it"}};
    options.add_switch("quiet", 'q', "no closing words; a download still shows how far it is",
                       &quiet_);
    options.add_switch("print-path", 0, "print the path of the file and nothing else",
                       &print_path_);
    options.add_model_argument(&model_);
  }

  Result<void> execute() override {
    LLMRUN_ASSIGN(const auto path, store::resolve_model(model_, {.fetch = true}));
    if (print_path_) {
      print("{}\n", path.string());
    } else if (!quiet_) {
      print("{} is here: {}\n", model_, path.string());
    }
    return {};
  }

 private:
  std::string model_;
  bool quiet_ = false;
  bool print_path_ = false;
};

}  // namespace

std::unique_ptr<Command> make_pull_command() { return std::make_unique<PullCommand>(); }

}  // namespace llmrun::cli
