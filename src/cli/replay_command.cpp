// `llmrun replay`: answers once more as a receipt says, and says where the two part.
#include "base/error.h"
#include "cli/command.h"
#include "cli/json.h"
#include "cli/model_argument.h"
#include "cli/output.h"
#include "llmrun/receipt.h"

namespace llmrun::cli {
namespace {

class ReplayCommand : public Command {
 public:
  ReplayCommand() {
    description =
        "Reads a receipt that 'llmrun run --receipt FILE' wrote, answers the same prompt with the "
        "same options, seed and CPU target, and compares every token and the logits it was drawn "
        "from. The exit code is 0 when all are the same, else 1. A receipt holds the prompt as "
        "token ids: it is as private as the prompt.";
    Argument& receipt =
        options.add_text_argument("RECEIPT", "the file; '-': standard input", &receipt_);
    receipt.kind = ValueKind::kFile;
    options
        .add_text("model", 'm', "MODEL", "the model to answer with (default: the receipt's)",
                  &model_)
        .kind = ValueKind::kModel;
    load_.add_to(options);
    add_json_option();
    examples = {{"llmrun run smollm2:135m --receipt r.json \"Hello\" && llmrun replay r.json",
                 "the same answer, or where it parts"}};
  }

  Result<void> execute() override {
    for (const char* name : {"rope-scaling", "rope-factor", "rope-base", "rope-original-context"}) {
      if (options.given(name)) {
        return make_error(ErrorCode::kUsage, "--{} has no effect: the receipt says it", name);
      }
    }
    LLMRUN_ASSIGN(const std::string receipt, read_input(receipt_));
    if (model_.empty()) {
      LLMRUN_ASSIGN(model_, receipt_model(receipt));
    }
    LLMRUN_ASSIGN(const std::filesystem::path path, load_.fetch.find_file(model_));
    LLMRUN_ASSIGN(const Replay result, replay(path, receipt, load_.value()));
    show(result);
    LLMRUN_TRY(finish_output());
    if (result.same) return {};
    return make_error(ErrorCode::kIo, "the answer is not the one of the receipt");
  }

 private:
  void show(const Replay& result) const {
    if (json) {
      Json out = {{"same", result.same},
                  {"n_tokens", result.n_tokens},
                  {"token_departs", nullptr},
                  {"logits_depart", nullptr},
                  {"changes", result.changes}};
      if (result.token_departs) {
        out["token_departs"] = *result.token_departs;
        out["expected_text"] = result.expected_text;
        out["got_text"] = result.got_text;
      }
      if (result.logits_depart) out["logits_depart"] = *result.logits_depart;
      print("{}\n", to_text(out, 2));
      return;
    }
    for (const std::string& change : result.changes) print("note: {}\n", change);
    if (result.same) print("The same {} tokens, from the same logits.\n", result.n_tokens);
    if (result.logits_depart) {
      print("The logits depart at token {} of {}.\n", *result.logits_depart, result.n_tokens);
    }
    if (result.token_departs) {
      print("The tokens depart at token {}: {} in the receipt, {} now.\n", *result.token_departs,
            word(result.expected_text), word(result.got_text));
    } else if (!result.same) {
      print("The tokens are the same.\n");
    }
  }

  static std::string word(const std::string& text) {
    return text.empty() ? "the end" : safe_for_terminal(to_text(Json(text)));
  }

  std::string receipt_, model_;
  LoadFlags load_;
};

}  // namespace

std::unique_ptr<Command> make_replay_command() { return std::make_unique<ReplayCommand>(); }

}  // namespace llmrun::cli
