// `llmrun importance`.
#include <unistd.h>

#include <cstdio>
#include <filesystem>

#include "base/error.h"
#include "base/terminal.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/json.h"
#include "cli/model_argument.h"
#include "cli/output.h"
#include "llmrun/quantize.h"

namespace llmrun::cli {
namespace {

class ImportanceCommand : public Command {
 public:
  ImportanceCommand() {
    description =
        "Lets the model read a text and writes down, for every matrix, the mean square of what "
        "comes in on each input channel; of a mixture of experts for each expert. 'llmrun quantize "
        "--importance' spends the bits where they matter then. A few hundred thousand characters "
        "of the kind of text that the model is for are enough; use the most exact file of the "
        "model that you have.\n\n"
        "The file is a GGUF file of the kind \"imatrix\" (tensors NAME.in_sum2 and NAME.counts), "
        "which other programs read, too.";
    options.add_model_argument(&model_);
    options.add_file("file", 'f', "the text; '-': standard input", &file_);
    options.add_file("output", 'o', "the GGUF file to write", &output_);
    options.add_integer("ctx", 'c', "N", "tokens read at a time (default: 512)", &window_,
                        {8, 1 << 24});
    load_.add_to(options);
    add_json_option();
    examples = {{"llmrun importance model-bf16.gguf --file text.txt -o model.imatrix.gguf",
                 "then: llmrun quantize … --importance model.imatrix.gguf"}};
  }

  Result<void> execute() override {
    if (file_.empty()) return make_error(ErrorCode::kUsage, "--file FILE is missing");
    if (output_.empty()) return make_error(ErrorCode::kUsage, "--output FILE is missing");
    ImportanceOptions gather;
    LLMRUN_ASSIGN(gather.text, read_input(file_));
    LLMRUN_ASSIGN(gather.model, load_.fetch.find_file(model_));
    gather.text_name = std::filesystem::path(file_).filename().string();
    gather.output = output_;
    gather.context_tokens = window_;
    gather.load = load_.value();
    const bool show_progress = is_terminal(STDERR_FILENO) && !json;
    const InterruptGuard guard;
    gather.progress = [&](const Perplexity& so_far, double share) {
      if (show_progress) {
        (void)std::fprintf(stderr, "\r%3.0f %%  perplexity %.4f ", 100 * share, so_far.perplexity);
      }
      return InterruptGuard::check();
    };
    const auto report = gather_importance(gather);
    if (show_progress) (void)std::fprintf(stderr, "\r\x1b[K");
    if (!report) return tl::unexpected<Error>(report.error());
    print_report(*report);
    return {};
  }

 private:
  void print_report(const ImportanceReport& report) const {
    if (json) {
      const Json out = {{"output", output_},
                        {"n_tensors", report.n_tensors},
                        {"n_windows", report.perplexity.n_windows},
                        {"context_tokens", window_},
                        {"n_silent_experts", report.n_silent_experts},
                        {"perplexity", report.perplexity.perplexity}};
      return print_json_text(to_text(out, 2), to_text(out));
    }
    print("{}: {} matrices over {} windows of {} tokens (perplexity {:.4f})\n",
          safe_for_terminal(output_), report.n_tensors, report.perplexity.n_windows, window_,
          report.perplexity.perplexity);
    if (report.n_silent_experts > 0) {
      print("warning: no token went through {} matrices of experts; a longer text reaches more\n",
            report.n_silent_experts);
    }
  }

  std::string model_, file_, output_;
  int64_t window_ = 512;
  LoadFlags load_;
};

}  // namespace

std::unique_ptr<Command> make_importance_command() { return std::make_unique<ImportanceCommand>(); }

}  // namespace llmrun::cli
