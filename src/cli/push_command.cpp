// `llmrun push`.
#include "base/error.h"
#include "cli/command.h"
#include "cli/fetch_flags.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "store/paths.h"
#include "store/push.h"

namespace llmrun::cli {
namespace {

class PushCommand : public Command {
 public:
  PushCommand() {
    description =
        "Sends a model of llmrun's own store to a registry. The name says which: "
        "host/namespace/model:tag; 'llmrun cp' gives a model such a name. What the registry has "
        "already is not sent, and the name appears there last. A token in LLMRUN_REGISTRY_TOKEN is "
        "sent along.";
    examples = {{"llmrun cp tiny:1b 127.0.0.1:5000/me/tiny:1b", "name it for the registry"},
                {"llmrun push 127.0.0.1:5000/me/tiny:1b", "send it"}};
    network_.add_to(options);
    options.add_model_argument(&name_).help = "a model of llmrun's own store";
  }

  Result<void> execute() override {
    LLMRUN_ASSIGN(const store::ModelName name, store::parse_model_name(name_));
    const InterruptGuard interrupt;
    const store::HttpClient client(store::http_options(network_.value()));
    LLMRUN_TRY(store::push_model(client, name, store::LocalStore(store::models_dir())));
    print("{} is on {}\n", name.text(), name.host);
    return {};
  }

 private:
  std::string name_;
  NetworkFlags network_;
};

}  // namespace

std::unique_ptr<Command> make_push_command() { return std::make_unique<PushCommand>(); }

}  // namespace llmrun::cli
