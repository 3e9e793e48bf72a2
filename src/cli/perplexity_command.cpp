// `llmrun perplexity`.
#include <unistd.h>

#include "base/error.h"
#include "base/terminal.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/json.h"
#include "cli/model_argument.h"
#include "cli/output.h"
#include "llmrun/tools.h"

namespace llmrun::cli {
namespace {

class PerplexityCommand : public Command {
 public:
  PerplexityCommand() {
    description =
        "Reads the text in windows of --ctx tokens that do not overlap and scores the second half "
        "of each, so that every scored token has at least half a window before it. The number "
        "after +/- is one standard error.";
    options.add_model_argument(&model_);
    options.add_file("file", 'f', "the text; '-': standard input", &file_);
    options.add_integer("ctx", 'c', "N", "tokens per window (default: 512)", &window_,
                        {2, 1 << 24});
    load_.add_to(options);
    add_json_option();
    examples = {{"llmrun perplexity smollm2:135m --file book.txt --ctx 512",
                 "lower is better; compare quantisations of one model with it"}};
  }

  Result<void> execute() override {
    if (file_.empty()) return make_error(ErrorCode::kUsage, "--file FILE is missing");
    LLMRUN_ASSIGN(const std::string text, read_input(file_));
    LLMRUN_ASSIGN(const std::filesystem::path path, find_model(model_));
    LLMRUN_ASSIGN(const Model model, Model::open(path, load_.value()));
    const bool show_progress = is_terminal(STDERR_FILENO) && !json;
    const auto progress = [&](const Perplexity& so_far, double share) {
      if (!show_progress) return;
      (void)std::fprintf(stderr, "\r%3.0f %%  %.4f +/- %.4f ", 100 * share, so_far.perplexity,
                         so_far.standard_error);
    };
    const Result<Perplexity> result = perplexity(model, text, window_, progress);
    if (show_progress) (void)std::fprintf(stderr, "\r\x1b[K");
    if (!result) return tl::unexpected<Error>(result.error());
    if (json) {
      const Json out = {{"perplexity", result->perplexity},
                        {"standard_error", result->standard_error},
                        {"mean_nll", result->mean_nll},
                        {"n_tokens", result->n_tokens},
                        {"context_tokens", window_}};
      print_json_text(to_text(out, 2), to_text(out));
    } else {
      print("perplexity {:.4f} +/- {:.4f}  ({} tokens scored, {:.5f} nats per token)\n",
            result->perplexity, result->standard_error, result->n_tokens, result->mean_nll);
    }
    return {};
  }

 private:
  std::string model_, file_;
  int64_t window_ = 512;
  LoadFlags load_;
};

}  // namespace

std::unique_ptr<Command> make_perplexity_command() { return std::make_unique<PerplexityCommand>(); }

}  // namespace llmrun::cli
