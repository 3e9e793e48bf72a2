// `llmrun compare`.
#include <unistd.h>

#include <cstdio>

#include "base/error.h"
#include "base/terminal.h"
#include "base/units.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/json.h"
#include "cli/model_argument.h"
#include "cli/output.h"
#include "cli/text_layout.h"
#include "llmrun/judge.h"

namespace llmrun::cli {
namespace {

Json mean_json(const Mean& mean) {
  return {{"value", mean.value}, {"standard_error", mean.standard_error}};
}

Json model_json(const ComparedModel& model) {
  return {{"file", model.path.string()},
          {"name", model.name},
          {"file_bytes", model.file_bytes},
          {"bits_per_weight", model.bits_per_weight},
          {"memory_bytes", model.memory_bytes},
          {"prompt_tokens_per_second", model.prompt_tokens_per_second},
          {"decode_tokens_per_second", model.decode_tokens_per_second},
          {"perplexity", model.perplexity.perplexity},
          {"perplexity_standard_error", model.perplexity.standard_error},
          {"n_tokens", model.perplexity.n_tokens}};
}

class CompareCommand : public Command {
 public:
  CompareCommand() {
    description =
        "Reads the same text with both models and prints what each costs and how well it predicts. "
        "When the vocabularies are the same, the predictions are compared position by position "
        "with those of A: the Kullback-Leibler divergence of B from A in nats, over the whole "
        "vocabulary, the share of positions whose most probable token is the same, and the ratio "
        "of the perplexities with the error of paired differences. So A should be the more exact "
        "file. The second half of each window is scored.";
    options.add_text_argument("A", "the base: a GGUF file or a model's name", &base_);
    options.add_text_argument("B", "the other one", &other_);
    options.add_file("file", 'f', "the text; '-': standard input", &file_);
    options.add_integer("ctx", 'c', "N", "tokens per window (default: 512)",
                        &compare_.context_tokens, {8, 1 << 24});
    options.add_integer("prompt", 'p', "N", "tokens of the prompt that is timed (default: 512)",
                        &compare_.prompt_tokens, {0, 1 << 20});
    options.add_integer("decode", 'n', "N", "tokens whose decoding is timed (default: 32)",
                        &compare_.decode_tokens, {0, 1 << 20});
    load_.add_to(options);
    add_json_option();
    examples = {
        {"llmrun compare model-bf16.gguf model-q4.gguf --file book.txt",
         "what did quantising cost?"},
        {"llmrun compare a.gguf b.gguf --file page.txt --prompt 0 --decode 0", "without timing"}};
  }

  Result<void> execute() override {
    if (file_.empty()) return make_error(ErrorCode::kUsage, "--file FILE is missing");
    LLMRUN_ASSIGN(compare_.text, read_input(file_));
    LLMRUN_ASSIGN(const std::filesystem::path base, load_.fetch.find_file(base_));
    LLMRUN_ASSIGN(const std::filesystem::path other, load_.fetch.find_file(other_));
    compare_.load = load_.value();
    const bool show_progress = is_terminal(STDERR_FILENO) && !json;
    const InterruptGuard guard;
    compare_.progress = [&](std::string_view what, double share) {
      if (show_progress) {
        (void)std::fprintf(stderr, "\r\x1b[K%.*s %3.0f %% ", static_cast<int>(what.size()),
                           what.data(), 100 * share);
      }
      return InterruptGuard::check();
    };
    const auto result = compare_models(base, other, compare_);
    if (show_progress) (void)std::fprintf(stderr, "\r\x1b[K");
    if (!result) return tl::unexpected<Error>(result.error());
    if (json) {
      print_as_json(*result);
    } else {
      print_as_table(*result);
    }
    return {};
  }

 private:
  void print_as_json(const Comparison& result) const {
    Json out = {{"context_tokens", compare_.context_tokens},
                {"a", model_json(result.base)},
                {"b", model_json(result.other)}};
    if (result.agreement) {
      out["kl_divergence"] = mean_json(result.agreement->kl_divergence);
      out["same_top"] = mean_json(result.agreement->same_top);
      out["n_positions"] = result.agreement->n_positions;
    }
    if (result.perplexity_ratio) out["perplexity_ratio"] = mean_json(*result.perplexity_ratio);
    print_json_text(to_text(out, 2), to_text(out));
  }

  static void print_as_table(const Comparison& result) {
    TextTable table;
    table.add_column("");
    table.add_column("A", Align::kRight);
    table.add_column("B", Align::kRight);
    table.add_column("B / A", Align::kRight);
    const ComparedModel& a = result.base;
    const ComparedModel& b = result.other;
    const auto ratio = [](double x, double y) {
      return x > 0 && y > 0 ? fmt::format("{:.3f}", y / x) : "";
    };
    const auto bytes_row = [&](const char* what, uint64_t x, uint64_t y) {
      table.add_row({what, format_bytes(x), format_bytes(y),
                     ratio(static_cast<double>(x), static_cast<double>(y))});
    };
    const auto number_row = [&](const char* what, double x, double y) {
      if (x > 0 || y > 0) {
        table.add_row({what, fmt::format("{:.2f}", x), fmt::format("{:.2f}", y), ratio(x, y)});
      }
    };
    bytes_row("file", a.file_bytes, b.file_bytes);
    number_row("bits per weight", a.bits_per_weight, b.bits_per_weight);
    bytes_row("memory", a.memory_bytes, b.memory_bytes);
    number_row("prompt tok/s", a.prompt_tokens_per_second, b.prompt_tokens_per_second);
    number_row("decode tok/s", a.decode_tokens_per_second, b.decode_tokens_per_second);
    const auto perplexity = [](const Perplexity& p) {
      return fmt::format("{:.4f} +/- {:.4f}", p.perplexity, p.standard_error);
    };
    const std::string paired =
        result.perplexity_ratio ? fmt::format("{:.4f} +/- {:.4f}", result.perplexity_ratio->value,
                                              result.perplexity_ratio->standard_error)
                                : "";
    table.add_row({"perplexity", perplexity(a.perplexity), perplexity(b.perplexity), paired});
    print("A  {}\nB  {}\n\n{}\n", safe_for_terminal(a.path.string()),
          safe_for_terminal(b.path.string()), table.text());
    if (!result.agreement) {
      print("The vocabularies differ: perplexities per token cannot be compared.\n");
      return;
    }
    const Agreement& agreement = *result.agreement;
    print("divergence of B from A  {:.5f} +/- {:.5f} nats\n", agreement.kl_divergence.value,
          agreement.kl_divergence.standard_error);
    print("same top token          {:.2f} % +/- {:.2f} %  ({} positions)\n",
          100 * agreement.same_top.value, 100 * agreement.same_top.standard_error,
          agreement.n_positions);
  }

  std::string base_, other_, file_;
  CompareOptions compare_;
  LoadFlags load_;
};

}  // namespace

std::unique_ptr<Command> make_compare_command() { return std::make_unique<CompareCommand>(); }

}  // namespace llmrun::cli
