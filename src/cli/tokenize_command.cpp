// `llmrun tokenize`.
#include <unistd.h>

#include "base/error.h"
#include "base/terminal.h"
#include "cli/command.h"
#include "cli/fetch_flags.h"
#include "cli/json.h"
#include "cli/output.h"
#include "llmrun/model.h"

namespace llmrun::cli {
namespace {

// A token's text on one line: newlines and other control characters as escapes.
std::string visible(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c == '\r') {
      out += "\\r";
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  return out;
}

class TokenizeCommand : public Command {
 public:
  TokenizeCommand() {
    description =
        "Prints the ids on one line, separated by spaces. The text is TEXT, a file, or standard "
        "input byte for byte. Without --add-special no BOS or EOS is added; without "
        "--parse-special a text like <|im_end|> is plain text.";
    options.add_model_argument(&model_);
    Argument& text =
        options.add_text_argument("TEXT", "the text; '-' or nothing: standard input", &text_);
    text.required = false;
    options.add_file("file", 'f', "read the text from a file", &file_);
    options.add_switch("add-special", 0, "add BOS and EOS as the model asks", &add_special_);
    options.add_switch("parse-special", 0, "read special tokens written in the text",
                       &parse_special_);
    options.add_switch("show", 0, "one token on a line: its id and its text", &show_);
    fetch_.add_to(options);
    add_json_option();
    examples = {{"llmrun tokenize smollm2:135m \"Hello world\"", "the ids"},
                {"llmrun tokenize smollm2:135m --show --file letter.txt", "where it is cut"},
                {"llmrun tokenize smollm2:135m - < letter.txt | wc -w", "how many tokens it has"}};
  }

  Result<void> execute() override {
    LLMRUN_ASSIGN(const std::string text, read_text());
    LLMRUN_ASSIGN(const std::filesystem::path path, fetch_.find_file(model_));
    LLMRUN_ASSIGN(const Model model, Model::open_vocabulary(path));
    LLMRUN_ASSIGN(
        const std::vector<TokenId> ids,
        model.tokenize(text, {.add_special = add_special_, .parse_special = parse_special_}));
    if (json) {
      print_as_json(model, ids);
    } else if (show_) {
      for (const TokenId id : ids) print("{:>7}  '{}'\n", id, visible(model.token_text(id)));
    } else {
      std::string line;
      for (const TokenId id : ids) line += fmt::format("{}{}", line.empty() ? "" : " ", id);
      print("{}\n", line);
    }
    return {};
  }

 private:
  Result<std::string> read_text() {
    const bool has_text = !options.arguments()[1].given ? false : text_ != "-";
    if (!file_.empty()) {
      if (options.arguments()[1].given) {
        return make_error(ErrorCode::kUsage, "give either TEXT or --file, not both");
      }
      return read_input(file_);
    }
    if (has_text) return text_;
    if (is_terminal(STDIN_FILENO) && !options.arguments()[1].given) {
      return make_error(ErrorCode::kUsage, "no text: give TEXT, --file FILE, or pipe it in");
    }
    return read_stdin();
  }

  void print_as_json(const Model& model, const std::vector<TokenId>& ids) const {
    Json out = {{"ids", ids}, {"count", ids.size()}};
    if (show_) {
      out["tokens"] = Json::array();
      for (const TokenId id : ids) out["tokens"].push_back(model.token_text(id));
    }
    print_json_text(to_text(out), to_text(out));
  }

  std::string model_, text_, file_;
  FetchFlags fetch_;
  bool add_special_ = false, parse_special_ = false, show_ = false;
};

}  // namespace

std::unique_ptr<Command> make_tokenize_command() { return std::make_unique<TokenizeCommand>(); }

}  // namespace llmrun::cli
