// `llmrun pull`.
#include "base/error.h"
#include "cli/command.h"
#include "cli/fetch_flags.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "store/resolver.h"

namespace llmrun::cli {
namespace {

class PullCommand : public Command {
 public:
  PullCommand() {
    description =
        "Brings a model to this machine: a name of Ollama's registry or another one "
        "(host/namespace/model:tag), of Hugging Face, of the catalogue, or an address. What came "
        "is kept when something goes wrong, and the next pull goes on from there; what arrives is "
        "checked against its SHA-256, and a download that was cut short never looks complete.\n\n"
        "Of a model that is there already the server is asked whether it has a newer one, and what "
        "differs is fetched.";
    examples = {
        {"llmrun pull smollm2:135m", "fetch the default model"},
        {"llmrun pull deepseek-r1:7b", "from Ollama's registry"},
        {"llmrun pull http://127.0.0.1:5000/library/tiny", "from a registry of your own"},
        {"llmrun show $(llmrun pull --print-path smollm2:135m)", "fetch it and look at it"}};
    options.add_switch("quiet", 'q', "no closing words; a download still shows how far it is",
                       &quiet_);
    options.add_switch("print-path", 0, "print the path of the file and nothing else",
                       &print_path_);
    network_.add_to(options);
    options.add_integer("stall", 0, "SECONDS",
                        "give a connection up that brings nothing for so long (default: 30)",
                        &stall_, {1, 3600});
    options.add_integer("tries", 0, "N", "failures in a row that end a download (default: 6)",
                        &tries_, {1, 1000});
    options.add_model_argument(&model_).help = "a name, or the address of a GGUF file";
  }

  Result<void> execute() override {
    const InterruptGuard interrupt;
    store::SourceOptions source = network_.value();
    source.stall_seconds = static_cast<int>(stall_);
    source.max_tries = static_cast<int>(tries_);
    LLMRUN_ASSIGN(const store::StoredModel model, store::pull_model(model_, source));
    if (print_path_) {
      print("{}\n", model.file.string());
    } else if (!quiet_) {
      print("{} is here: {}\n", model_, model.file.string());
    }
    return {};
  }

 private:
  std::string model_;
  NetworkFlags network_;
  bool quiet_ = false;
  bool print_path_ = false;
  int64_t stall_ = 30;
  int64_t tries_ = 6;
};

}  // namespace

std::unique_ptr<Command> make_pull_command() { return std::make_unique<PullCommand>(); }

}  // namespace llmrun::cli
