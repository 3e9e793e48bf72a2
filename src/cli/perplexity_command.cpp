// `llmrun perplexity`.
#include <unistd.h>

#include <cstdio>

#include "base/error.h"
#include "base/terminal.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/json.h"
#include "cli/model_argument.h"
#include "cli/output.h"
#include "llmrun/judge.h"
#include "llmrun/tools.h"

namespace llmrun::cli {
namespace {

Json perplexity_json(const Perplexity& result) {
  return {{"perplexity", result.perplexity},
          {"standard_error", result.standard_error},
          {"mean_nll", result.mean_nll},
          {"n_tokens", result.n_tokens}};
}

Json mean_json(const Mean& mean) {
  return {{"value", mean.value}, {"standard_error", mean.standard_error}};
}

class PerplexityCommand : public Command {
 public:
  PerplexityCommand() {
    description =
        "Reads the text in windows of --ctx tokens that do not overlap and scores the second half "
        "of each, so that every scored token has at least half a window before it. The number "
        "after +/- is one standard error.\n\n"
        "With --base the predictions are compared with those that 'llmrun logits --top K' recorded "
        "of another file of the same model over the same text, read as one context: the "
        "Kullback-Leibler divergence from the base, in nats per position, and the share of "
        "positions whose most probable token is the same. Of the base K probabilities are known; "
        "the divergence is over these K tokens and \"any other\", which is at most the divergence "
        "over the whole vocabulary.";
    options.add_model_argument(&model_);
    options.add_file("file", 'f', "the text; '-': standard input", &file_);
    options.add_integer("ctx", 'c', "N", "tokens per window (default: 512)", &window_,
                        {2, 1 << 24});
    options.add_file("base", 0, "what 'llmrun logits --top K -o BASE' recorded", &base_);
    load_.add_to(options);
    add_json_option();
    examples = {{"llmrun perplexity smollm2:135m --file book.txt --ctx 512",
                 "lower is better; compare quantisations of one model with it"},
                {"llmrun logits big.gguf --file page.txt --top 64 -o base.npy",
                 "record what the exact model says"},
                {"llmrun perplexity small.gguf --file page.txt --base base.npy",
                 "and how far the small one is from it"}};
  }

  Result<void> execute() override {
    if (file_.empty()) return make_error(ErrorCode::kUsage, "--file FILE is missing");
    if (!base_.empty() && options.given("ctx")) {
      return make_error(ErrorCode::kUsage,
                        "--ctx has no effect with --base, which reads the text as one context");
    }
    LLMRUN_ASSIGN(const std::string text, read_input(file_));
    TopPredictions base;
    if (!base_.empty()) {
      LLMRUN_ASSIGN(base, read_top_predictions(base_));
    }
    const ContextOptions context =
        base_.empty() ? perplexity_context(window_) : judge_context(base);
    LLMRUN_ASSIGN(const std::filesystem::path path, load_.find(model_, context));
    LLMRUN_ASSIGN(const Model model, Model::open(path, load_.value()));
    show_progress_ = is_terminal(STDERR_FILENO) && !json;
    const InterruptGuard guard;
    return base_.empty() ? judge_alone(model, text) : judge_with_base(model, text, base);
  }

 private:
  [[nodiscard]] Result<void> note(const Perplexity& so_far, double share) const {
    if (show_progress_) {
      (void)std::fprintf(stderr, "\r%3.0f %%  %.4f +/- %.4f ", 100 * share, so_far.perplexity,
                         so_far.standard_error);
    }
    return InterruptGuard::check();
  }
  void clear_note() const {
    if (show_progress_) (void)std::fprintf(stderr, "\r\x1b[K");
  }

  [[nodiscard]] Result<void> judge_alone(const Model& model, const std::string& text) const {
    const auto result =
        perplexity(model, text, window_,
                   [this](const Perplexity& so_far, double share) { return note(so_far, share); });
    clear_note();
    if (!result) return tl::unexpected<Error>(result.error());
    if (json) {
      Json out = perplexity_json(*result);
      out["context_tokens"] = window_;
      print_json_text(to_text(out, 2), to_text(out));
    } else {
      print_perplexity(*result);
    }
    return {};
  }

  [[nodiscard]] Result<void> judge_with_base(const Model& model, const std::string& text,
                                             const TopPredictions& base) const {
    const auto result = judge_against(
        model, text, base,
        [this](const JudgedText& so_far, double share) { return note(so_far.perplexity, share); });
    clear_note();
    if (!result) return tl::unexpected<Error>(result.error());
    const Agreement& agreement = result->agreement;
    if (json) {
      Json out = perplexity_json(result->perplexity);
      out["base"] = base_;
      out["top_k"] = base.k;
      out["kl_divergence"] = mean_json(agreement.kl_divergence);
      out["same_top"] = mean_json(agreement.same_top);
      out["n_positions"] = agreement.n_positions;
      print_json_text(to_text(out, 2), to_text(out));
      return {};
    }
    print_perplexity(result->perplexity);
    print("divergence {:.5f} +/- {:.5f} nats from the base (its {} best tokens and the rest)\n",
          agreement.kl_divergence.value, agreement.kl_divergence.standard_error, base.k);
    print("same top   {:.2f} % +/- {:.2f} % of {} positions\n", 100 * agreement.same_top.value,
          100 * agreement.same_top.standard_error, agreement.n_positions);
    return {};
  }

  static void print_perplexity(const Perplexity& result) {
    print("perplexity {:.4f} +/- {:.4f}  ({} tokens scored, {:.5f} nats per token)\n",
          result.perplexity, result.standard_error, result.n_tokens, result.mean_nll);
  }

  std::string model_, file_, base_;
  int64_t window_ = 512;
  bool show_progress_ = false;
  LoadFlags load_;
};

}  // namespace

std::unique_ptr<Command> make_perplexity_command() { return std::make_unique<PerplexityCommand>(); }

}  // namespace llmrun::cli
