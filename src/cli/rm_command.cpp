// `llmrun rm`.
#include "base/units.h"
#include "cli/command.h"
#include "cli/output.h"
#include "store/paths.h"
#include "store/removal.h"

namespace llmrun::cli {
namespace {

class RmCommand : public Command {
 public:
  RmCommand() {
    description =
        "Deletes models from llmrun's own store: the name, and what no other model of the store "
        "needs. Models that lie in Ollama's store, in Hugging Face's cache or in a file of yours "
        "are "
        "never touched; of an imported file only the link goes.";
    examples = {{"llmrun rm tiny:1b", "delete one model"},
                {"llmrun prune", "see what else takes space for nothing"}};
    Argument names;
    names.name = "MODEL";
    names.help = "names as 'llmrun list' shows them";
    names.kind = ValueKind::kModel;
    names.repeated = true;
    names.set = [this](std::string_view text) -> Result<void> {
      names_.emplace_back(text);
      return {};
    };
    options.add_argument(std::move(names));
  }

  Result<void> execute() override {
    const store::LocalStore local(store::models_dir());
    for (const std::string& text : names_) {
      auto name = store::parse_model_name(text);
      if (!name) return tl::unexpected<Error>(name.error());
      const auto removed = store::remove_model(local, *name);
      if (!removed) return tl::unexpected<Error>(removed.error());
      print("deleted {}: {} freed{}\n", removed->name, format_bytes_decimal(removed->freed),
            removed->shared == 0 ? std::string()
                                 : fmt::format(", {} are needed by other models",
                                               format_bytes_decimal(removed->shared)));
    }
    return {};
  }

 private:
  std::vector<std::string> names_;
};

}  // namespace

std::unique_ptr<Command> make_rm_command() { return std::make_unique<RmCommand>(); }

}  // namespace llmrun::cli
