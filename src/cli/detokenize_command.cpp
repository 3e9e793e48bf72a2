// `llmrun detokenize`.
#include <unistd.h>

#include "base/error.h"
#include "base/terminal.h"
#include "cli/command.h"
#include "cli/fetch_flags.h"
#include "cli/json.h"
#include "cli/output.h"
#include "cli/token_input.h"
#include "llmrun/model.h"

namespace llmrun::cli {
namespace {

class DetokenizeCommand : public Command {
 public:
  DetokenizeCommand() {
    description =
        "Prints the text of token ids, byte for byte. The ids are arguments, a file, or standard "
        "input.";
    options.add_model_argument(&model_);
    Argument& ids =
        options.add_text_argument("ID", "token ids; '-' or nothing: standard input", nullptr);
    ids.required = false;
    ids.repeated = true;
    ids.set = [this](std::string_view text) -> Result<void> {
      ids_ += std::string(text) + " ";
      return {};
    };
    options.add_file("file", 'f', "read the ids from a file", &file_);
    options.add_switch("no-special", 0, "leave special tokens out", &no_special_);
    fetch_.add_to(options);
    add_json_option();
    examples = {{"llmrun detokenize smollm2:135m 19556 905", "the text of two tokens"},
                {"llmrun tokenize m.gguf - < a.txt | llmrun detokenize m.gguf | cmp - a.txt",
                 "there and back"}};
  }

  Result<void> execute() override {
    LLMRUN_ASSIGN(const std::string list, read_list());
    LLMRUN_ASSIGN(const std::vector<TokenId> ids, parse_ids(list));
    LLMRUN_ASSIGN(const std::filesystem::path path, fetch_.find_file(model_));
    LLMRUN_ASSIGN(const Model model, Model::open_vocabulary(path));
    LLMRUN_ASSIGN(const std::string text, model.detokenize(ids, !no_special_));
    if (json) {
      const Json out = {{"text", text}};
      print_json_text(to_text(out), to_text(out));
    } else if (is_terminal(STDOUT_FILENO)) {
      write_out(safe_for_terminal(text));
      if (!text.ends_with('\n')) write_out("\n");
    } else {
      write_out(text);
    }
    return {};
  }

 private:
  Result<std::string> read_list() {
    if (!file_.empty()) {
      if (!ids_.empty()) {
        return make_error(ErrorCode::kUsage, "give either ids or --file, not both");
      }
      return read_input(file_);
    }
    if (!ids_.empty() && ids_ != "- ") return ids_;
    if (ids_.empty() && is_terminal(STDIN_FILENO)) {
      return make_error(ErrorCode::kUsage, "no ids: give them, --file FILE, or pipe them in");
    }
    return read_stdin();
  }

  std::string model_, ids_, file_;
  FetchFlags fetch_;
  bool no_special_ = false;
};

}  // namespace

std::unique_ptr<Command> make_detokenize_command() { return std::make_unique<DetokenizeCommand>(); }

}  // namespace llmrun::cli
