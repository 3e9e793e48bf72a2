// `llmrun import`.
#include "base/error.h"
#include "base/units.h"
#include "cli/command.h"
#include "cli/output.h"
#include "store/naming.h"
#include "store/paths.h"

namespace llmrun::cli {
namespace {

std::string_view words_for(store::LinkKind link) {
  switch (link) {
    case store::LinkKind::kReflink:
      return "sharing its disk space";
    case store::LinkKind::kHardLink:
      return "as a second name of the file: do not change the file any more";
    case store::LinkKind::kSymbolic:
      return "as a pointer to the file: it works as long as the file stays where it is";
  }
  return "";
}

class ImportCommand : public Command {
 public:
  ImportCommand() {
    description =
        "Gives a GGUF file a name, without a copy of it: the store links to the file (sharing its "
        "blocks where the file system can, else by a hard link, else by a symbolic link). The file "
        "is read once for its SHA-256. To use a file by its path needs no import.";
    examples = {
        {"llmrun import ~/models/qwen.gguf qwen:mine", "from then on: llmrun run qwen:mine"}};
    Argument file;
    file.name = "FILE";
    file.help = "a GGUF file";
    file.kind = ValueKind::kFile;
    file.set = [this](std::string_view text) -> Result<void> {
      file_ = text;
      return {};
    };
    options.add_argument(std::move(file));
    options.add_text_argument("NAME", "its name, like model:tag", &name_);
  }

  Result<void> execute() override {
    LLMRUN_ASSIGN(const store::ModelName name, store::parse_model_name(name_));
    LLMRUN_ASSIGN(const store::ImportedModel imported,
                  store::import_file(store::LocalStore(store::models_dir()), file_, name));
    print("{} is {} now ({}), {}\n", file_, name.text(), format_bytes_decimal(imported.size),
          imported.was_there ? "which the store had already" : words_for(imported.link));
    return {};
  }

 private:
  std::string file_;
  std::string name_;
};

}  // namespace

std::unique_ptr<Command> make_import_command() { return std::make_unique<ImportCommand>(); }

}  // namespace llmrun::cli
