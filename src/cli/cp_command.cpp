// `llmrun cp`.
#include "base/error.h"
#include "cli/command.h"
#include "cli/output.h"
#include "store/naming.h"
#include "store/paths.h"
#include "store/resolver.h"

namespace llmrun::cli {
namespace {

class CpCommand : public Command {
 public:
  CpCommand() {
    description =
        "Gives a model of this machine a second name in llmrun's own store. Nothing is copied but "
        "the name: a model of Ollama's store is linked.";
    examples = {{"llmrun cp smollm2:135m mine", "the same model under your own name"},
                {"llmrun cp mine 127.0.0.1:5000/me/mine && llmrun push 127.0.0.1:5000/me/mine",
                 "name it for a registry and send it there"}};
    Argument& from = options.add_model_argument(&from_);
    from.name = "SOURCE";
    from.help = "a name that 'llmrun list' shows";
    options.add_text_argument("NAME", "the new name", &to_);
  }

  Result<void> execute() override {
    LLMRUN_ASSIGN(const store::ModelName to, store::parse_model_name(to_));
    const auto from = store::find_model_here(from_);
    if (!from) {
      return make_error(ErrorCode::kNotFound, "{} is not on this machine; run: llmrun pull {}",
                        from_, from_);
    }
    LLMRUN_TRY(store::copy_model(store::LocalStore(store::models_dir()), *from, to));
    print("{} is {} now, too\n", from->name, to.text());
    return {};
  }

 private:
  std::string from_;
  std::string to_;
};

}  // namespace

std::unique_ptr<Command> make_cp_command() { return std::make_unique<CpCommand>(); }

}  // namespace llmrun::cli
