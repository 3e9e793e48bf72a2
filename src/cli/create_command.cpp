// `llmrun create`: a named model of a Modelfile.
#include <fmt/ranges.h>

#include <cstdio>
#include <filesystem>

#include "base/error.h"
#include "base/units.h"
#include "cli/command.h"
#include "cli/fetch_flags.h"
#include "cli/json.h"
#include "cli/output.h"
#include "llmrun/tools.h"
#include "store/create.h"
#include "store/paths.h"

namespace llmrun::cli {
namespace {

namespace fs = std::filesystem;

class CreateCommand : public Command {
 public:
  CreateCommand() {
    description =
        "A Modelfile says what the model is made of (FROM: a GGUF file, a folder with one, or a "
        "name) and what travels with it: PARAMETER, SYSTEM, TEMPLATE (Go text/template), ADAPTER, "
        "MESSAGE, LICENSE. What FROM's model has of these stays where the file says nothing. The "
        "weights are linked, not copied, and a model of that name is replaced.";
    options.add_text_argument("NAME", "the name of the new model", &name_);
    options.add_file("file", 'f', "the Modelfile (default: Modelfile; '-': standard input)",
                     &file_);
    fetch_.add_to(options);
    add_json_option();
    examples = {
        {"llmrun create pirate -f Modelfile", "of a file that begins with FROM smollm2:135m"},
        {"llmrun show --modelfile pirate | sed 's/^FROM.*/FROM other.gguf/' | llmrun create "
         "pirate2 -f -",
         "the same of another file"}};
  }

  Result<void> execute() override {
    LLMRUN_ASSIGN(const store::ModelName name, store::parse_model_name(name_));
    LLMRUN_ASSIGN(const std::string text, read_input(file_));
    LLMRUN_ASSIGN(const store::CreateReport report, create(text, name));
    for (const std::string& warning : report.warnings) {
      (void)std::fprintf(stderr, "llmrun: note: %s: %s\n", file_.c_str(), warning.c_str());
    }
    if (json) {
      const Json out = {{"name", report.model.name},
                        {"id", report.model.id},
                        {"file", report.model.file.string()},
                        {"made", report.made},
                        {"reused", report.reused},
                        {"notes", report.warnings}};
      print_json_text(to_text(out, 2), to_text(out));
      return {};
    }
    print("{} ({}), {}: {} new, {} there already\n", report.model.name, report.model.id,
          format_bytes_decimal(report.model.total_size), listed(report.made),
          listed(report.reused));
    return {};
  }

 private:
  Result<store::CreateReport> create(const std::string& text, const store::ModelName& name) {
    const auto with_file = [this](Error error) { return with_context(std::move(error), file_); };
    const auto modelfile = store::parse_modelfile(text);
    if (!modelfile) return with_file(modelfile.error());
    if (modelfile->chat_template && !modelfile->chat_template->empty()) {
      if (const auto checked = check_go_template(*modelfile->chat_template); !checked) {
        return with_file(checked.error());
      }
    }
    const fs::path folder = file_ == "-" ? fs::path() : fs::path(file_).parent_path();
    const store::LocalStore store(store::models_dir());
    const auto find = [this](const std::string& from) { return fetch_.find(from); };
    auto made = store::create_model(*modelfile, folder, name, store, find);
    if (!made) return with_file(made.error());
    return made;
  }

  static std::string listed(const std::vector<std::string>& kinds) {
    return kinds.empty() ? "nothing" : fmt::format("{}", fmt::join(kinds, ", "));
  }

  std::string name_, file_ = "Modelfile";
  FetchFlags fetch_;
};

}  // namespace

std::unique_ptr<Command> make_create_command() { return std::make_unique<CreateCommand>(); }

}  // namespace llmrun::cli
