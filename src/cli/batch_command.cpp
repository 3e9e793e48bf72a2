// `llmrun batch`.
#include <unistd.h>

#include <csignal>
#include <cstdio>

#include "base/error.h"
#include "base/units.h"
#include "batch/job.h"
#include "cli/batch_model.h"
#include "cli/batch_progress.h"
#include "cli/batch_report.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/json.h"
#include "cli/model_argument.h"
#include "cli/output.h"
#include "cli/sampling_fields.h"

namespace llmrun::cli {
namespace {

class BatchCommand : public Command {
 public:
  BatchCommand() {
    description =
        "IN is a file of requests as OpenAI's batch service takes it (JSONL: custom_id, method, "
        "url, body), a plain text file with a prompt on every line, or a folder of .txt files. OUT "
        "gets a line of JSON per request, in the order of IN; for a folder, OUT is a folder of "
        "answers.\n\n"
        "IN is read and checked to its end before anything runs. Many rows run at a time, and what "
        "their prompts have in common is computed once. Every row has a seed of its own, made of "
        "--seed and its custom_id, so the same command gives the same file.\n\n"
        "OUT appears when it is complete. Until then everything is in OUT.journal: after a crash, "
        "a power cut or Ctrl-C the same command goes on where it was, and the file is the one that "
        "an undisturbed run writes.\n\n"
        "An answer that repeats the same tokens over and over is ended. In the answers, "
        "finish_reason is 'stop' or 'length'; stop_reason says more: end and stop (a stop text), "
        "or limit, context and loop.";
    Argument& input =
        options.add_text_argument("IN", "the requests, or a folder of .txt files", &options_.input);
    input.kind = ValueKind::kFile;
    options.add_text("output", 'o', "OUT", "the file (or folder) for the answers", &options_.output)
        .kind = ValueKind::kFile;
    options
        .add_text("model", 'm', "NAME",
                  "the model for all rows (default: the one that each line names)", &options_.model)
        .kind = ValueKind::kModel;
    options.add_switch("dry-run", 0, "tell tokens, memory and time instead of running", &dry_run_);
    options.add_switch("unordered", 0, "lines in the order in which they were finished",
                       &options_.unordered);
    options.add_switch("keep-going", 'k', "make bad rows error lines instead of refusing IN",
                       &options_.keep_going);
    options.add_switch("restart", 0, "begin anew, and write over OUT", &options_.restart);
    add_json_option();
    options.start_group("Prompts of text lines and folders");
    options.add_text("system", 0, "TEXT", "the system message", &options_.prompts.system);
    options.add_text("prompt-template", 0, "TEXT",
                     "the prompt, with \"{text}\" where the text goes",
                     &options_.prompts.prompt_template);
    options.add_switch("raw", 0, "continue the texts as they are, without a chat template",
                       &options_.prompts.raw);
    options.start_group("The answers, where the rows do not say");
    options.add_integer("max-tokens", 'n', "N", "most tokens of an answer (default: no limit)",
                        &options_.max_tokens, {1, int64_t{1} << 30});
    options.add_switch("no-loop-guard", 0, "let an answer repeat itself to its limit",
                       &no_loop_guard_);
    options.start_group("Sampling, where the rows do not say");
    add_sampling_options(options, &sampling_);
    options.start_group("Computing");
    options.add_integer("parallel", 'p', "N",
                        "rows at a time (default: up to 32, in half of the free memory)",
                        &parallel_, {1, 4096});
    load_.add_to(options);
    context_.add_to(options);
    examples = {
        {"llmrun batch requests.jsonl -o answers.jsonl --model smollm2:135m", "a JSONL file"},
        {"llmrun batch questions.txt -o answers.jsonl -m smollm2:135m -n 100",
         "a question on every line"},
        {"llmrun batch reports/ -o summaries/ -m smollm2:135m --prompt-template "
         "\"Summarise: {text}\"",
         "a file for each file"},
        {"llmrun batch requests.jsonl --dry-run", "how long it would take"}};
  }

  Result<void> execute() override {
    LLMRUN_TRY(check());
    LLMRUN_ASSIGN(batch::Job job, batch::Job::prepare(options_));
    if (dry_run_) return print_batch_estimate(job, json);
    // A limit on the size of files is then an error of the write, as a full disk is.
    std::signal(SIGXFSZ, SIG_IGN);
    const Result<batch::Outcome> outcome = run(job);
    if (!outcome && outcome.error().code == ErrorCode::kInterrupted) tell_how_to_go_on();
    if (!outcome) return tl::unexpected<Error>(outcome.error());
    tell(*outcome);
    return {};
  }

 private:
  Result<void> check() {
    if (options_.output.empty() && !dry_run_) {
      return make_error(ErrorCode::kUsage, "--output is missing: name the file for the answers");
    }
    const std::string& form = options_.prompts.prompt_template;
    if (!form.empty() && form.find("{text}") == std::string::npos) {
      return make_error(ErrorCode::kUsage,
                        "--prompt-template has no {{text}} in it: every prompt would be the same");
    }
    if (options_.prompts.raw && !options_.prompts.system.empty()) {
      return make_error(ErrorCode::kUsage, "--system has no effect with --raw");
    }
    options_.loop_guard = !no_loop_guard_;
    options_.sampling_choices = sampling_;
    options_.apply_sampling = [this](SamplingOptions& sampling) {
      return apply_sampling(sampling_, sampling);
    };
    options_.context = context_.context;
    options_.context.max_sequences = parallel_;
    options_.find_model = [this](const std::string& name) { return find_batch_model(load_, name); };
    return {};
  }

  Result<batch::Outcome> run(batch::Job& job) {
    BatchProgress progress;
    const InterruptGuard guard;
    return job.run([&](const batch::Status& status) {
      last_ = status;
      progress.update(status);
      return !InterruptGuard::interrupted();
    });
  }

  void tell_how_to_go_on() const {
    (void)std::fprintf(stderr,
                       "stopped: %lld of %lld rows are done, and what the others have so far is in "
                       "%s. The same command goes on.\n",
                       static_cast<long long>(last_.rows_done), static_cast<long long>(last_.rows),
                       batch::Job::journal_path(options_.output).c_str());
  }

  void tell(const batch::Outcome& outcome) const {
    const batch::Status& status = outcome.status;
    const double speed =
        status.seconds > 0 ? static_cast<double>(status.answer_tokens) / status.seconds : 0;
    if (json) {
      const Json out = {{"output", options_.output},
                        {"rows", status.rows},
                        {"rows_from_earlier_runs", status.rows_before},
                        {"rows_failed", status.rows_failed},
                        {"prompt_tokens", status.prompt_tokens},
                        {"cached_tokens", status.cached_tokens},
                        {"answer_tokens", status.answer_tokens},
                        {"steps", status.steps},
                        {"seconds", status.seconds},
                        {"answer_tokens_per_second", speed}};
      print_json_text(to_text(out, 2), to_text(out));
      return;
    }
    if (outcome.was_complete) {
      (void)std::fprintf(stderr, "%s is complete already\n", options_.output.c_str());
      return;
    }
    (void)std::fprintf(stderr, "%s: %s\n", options_.output.c_str(), summary(status, speed).c_str());
  }

  static std::string summary(const batch::Status& status, double speed) {
    std::string text = fmt::format("{} rows", status.rows);
    if (status.rows_failed > 0) text += fmt::format(", {} of them error lines", status.rows_failed);
    if (status.rows_before > 0) text += fmt::format(", {} from before", status.rows_before);
    text += fmt::format("; {} prompt tokens, {} of them cached, {} answer tokens in {}",
                        status.prompt_tokens, status.cached_tokens, status.answer_tokens,
                        format_duration(status.seconds));
    if (speed > 0) text += fmt::format(" ({:.1f} tok/s)", speed);
    return text;
  }

  batch::Options options_;
  SamplingChoices sampling_;
  LoadFlags load_;
  ContextFlags context_;
  int64_t parallel_ = 0;
  bool dry_run_ = false, no_loop_guard_ = false;
  batch::Status last_;
};

}  // namespace

std::unique_ptr<Command> make_batch_command() { return std::make_unique<BatchCommand>(); }

}  // namespace llmrun::cli
