// `llmrun run`: open the model, render the chat, generate, print.
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/terminal.h"
#include "cli/command.h"
#include "cli/conversation.h"
#include "cli/interactive.h"
#include "cli/one_shot.h"
#include "cli/output.h"
#include "cli/run_settings.h"
#include "store/paths.h"

namespace llmrun::cli {
namespace {

class RunCommand : public Command {
 public:
  RunCommand() {
    description =
        "On a terminal without PROMPT it is a chat: /? lists its commands, Ctrl-C stops an answer, "
        "Ctrl-D leaves. Every turn is saved, and --resume goes on.\n\n"
        "With PROMPT, with --file, or when standard input or output is no terminal, it answers "
        "once and exits. The prompt is then made of the files, standard input and PROMPT, in this "
        "order, joined by newlines. In a pipe the output is the answer alone, as plain text.";
    options.add_model_argument(&settings_.model).required = false;
    Argument& prompt =
        options.add_text_argument("PROMPT", "what to ask; several words are joined", nullptr);
    prompt.required = false;
    prompt.repeated = true;
    prompt.set = [this](std::string_view word) -> Result<void> {
      settings_.prompt += (settings_.prompt.empty() ? "" : " ") + std::string(word);
      return {};
    };
    add_question_options();
    add_answer_options();
    options.start_group("Sampling, in the order of its stages");
    add_sampling_options(options, &settings_.sampling);
    options.start_group("Computing");
    settings_.load.add_to(options);
    settings_.context.add_to(options);
    add_prefix_cache_option();
    examples = {
        {"llmrun run smollm2:135m", "chat"},
        {"llmrun run smollm2:135m \"Why is the sky blue?\"", "one answer"},
        {"cat report.txt | llmrun run smollm2:135m \"Summarise this:\" --temp 0", "in a pipe"},
        {"llmrun run model.gguf --file a.c --system \"You review C code\" \"Any bugs?\"",
         "about a file"},
        {"llmrun run smollm2:135m --format json \"Hello\" | jq .timings", "for a program"},
        {"llmrun run --resume", "go on with the last chat"}};
  }

  [[nodiscard]] bool wants_json() const override { return settings_.json; }

  Result<void> execute() override {
    LLMRUN_TRY(check());
    LLMRUN_ASSIGN(const std::optional<std::string> prompt, assemble_prompt());
    LLMRUN_ASSIGN(Chat chat, find_chat());
    LLMRUN_ASSIGN(const auto conversation, Conversation::open(settings_, std::move(chat)));
    if (prompt) return answer_once(settings_, *conversation, *prompt);
    return InteractiveChat(settings_, *conversation).run();
  }

 private:
  void add_question_options() {
    options.start_group("The question");
    options
        .add_texts("file", 'f', "FILE", "put a file before the prompt; may be repeated",
                   &settings_.files)
        .kind = ValueKind::kFile;
    options.add_text("system", 0, "TEXT", "the system message", nullptr).set =
        [this](std::string_view text) -> Result<void> {
      settings_.system = std::string(text);
      return {};
    };
    options.add_file("template", 0, "a chat template to use in place of the model's (Jinja or Go)",
                     &template_file_);
    options.add_switch("raw", 0, "continue the prompt as it is, without a chat template",
                       &settings_.raw);
    options.add_switch("think", 0, "ask the template for thinking", &think_);
    options.add_switch("no-think", 0, "ask the template for no thinking", &no_think_);
    Option& resume = options.add_text("resume", 0, "ID",
                                      "go on with a saved chat: the one of this id or name, or the "
                                      "last one (the last with MODEL, when it is given)",
                                      nullptr);
    resume.takes_next = [](std::string_view next) {
      return ChatStore(store::chats_dir()).exists(next);
    };
    resume.set = [this](std::string_view id) -> Result<void> {
      settings_.resume = true;
      settings_.resume_id = id;
      return {};
    };
  }

  void add_answer_options() {
    options.start_group("The answer");
    options.add_integer("max-tokens", 'n', "N", "most tokens of the answer (default: -1, no limit)",
                        &settings_.max_tokens, {-1});
    options.add_texts("stop", 0, "TEXT", "end the answer before this text; may be repeated",
                      &settings_.stop);
    options.add_switch("ignore-end", 0, "go on after the model ends its turn",
                       &settings_.ignore_end);
    options
        .add_choice("format", 0, {"text", "json"},
                    "json: one object with text, thinking, tokens, stop reason and timings",
                    nullptr)
        .set = [this](std::string_view format) -> Result<void> {
      settings_.json = format == "json";
      return {};
    };
    options.add_switch("json", 0, "the same as --format json; errors are JSON, too",
                       &settings_.json);
    options
        .add_choice("on-overflow", 0, {"error", "truncate-front", "shift"},
                    "when the text is longer than the context: an error, leave out the oldest "
                    "messages, or also go on after the older half of a full context; the system "
                    "message stays (default: error)",
                    nullptr)
        .set = [this](std::string_view what) -> Result<void> {
      settings_.on_overflow = what == "shift"            ? Overflow::kShift
                              : what == "truncate-front" ? Overflow::kTruncateFront
                                                         : Overflow::kError;
      return {};
    };
    options.add_switch("loop-guard", 0, "end an answer that repeats the same words for ever",
                       &settings_.loop_guard);
    options.add_file("receipt", 0,
                     "write what the answer was made of; 'llmrun replay FILE' makes it again",
                     &settings_.receipt);
    options.add_switch("plain", 0, "show Markdown as it is written", &settings_.plain);
    options.add_switch("hide-thinking", 0, "do not show what the model thinks",
                       &settings_.hide_thinking);
    options.add_switch("verbose", 'v', "print times and speeds on standard error",
                       &settings_.verbose);
    options.add_switch("no-save", 0, "keep neither the chat nor the history", &no_save_);
  }

  void add_prefix_cache_option() {
    settings_.context.context.prefix_cache = store::prefix_cache_dir();
    options
        .add_text("prefix-cache", 0, "on|off|DIR",
                  "keep what was read of prompts of 256 tokens or more on disk, 4 GiB at most, so "
                  "that the next run with the same beginning starts at once (default: on)",
                  nullptr)
        .set = [this](std::string_view where) -> Result<void> {
      std::filesystem::path& folder = settings_.context.context.prefix_cache;
      if (where == "off") {
        folder.clear();
      } else {
        folder = where == "on" ? store::prefix_cache_dir() : std::filesystem::path(where);
      }
      return {};
    };
  }

  Result<void> check() {
    if (think_ && no_think_) {
      return make_error(ErrorCode::kUsage, "--think and --no-think exclude each other");
    }
    if (think_ || no_think_) settings_.render.enable_thinking = think_;
    settings_.save = !no_save_;
    settings_.max_tokens_given = options.given("max-tokens");
    if (settings_.raw) {
      for (const char* name : {"template", "system", "think", "no-think", "resume"}) {
        if (options.given(name)) {
          return make_error(ErrorCode::kUsage, "--{} has no effect with --raw", name);
        }
      }
    }
    if (settings_.max_tokens == 0) {
      return make_error(ErrorCode::kUsage, "--max-tokens 0 leaves no answer; give 1 or more");
    }
    SamplingOptions sampling;
    LLMRUN_TRY(apply_sampling(settings_.sampling, sampling));
    if (sampling.mirostat != 0) {
      for (const char* name : {"top-n-sigma", "top-k", "typical-p", "top-p", "min-p",
                               "xtc-probability", "xtc-threshold"}) {
        if (options.given(name)) {
          return make_error(ErrorCode::kUsage, "--{} has no effect with --mirostat 2", name);
        }
      }
    } else if (options.given("mirostat-tau") || options.given("mirostat-eta")) {
      return make_error(ErrorCode::kUsage, "--mirostat-tau and --mirostat-eta need --mirostat 2");
    }
    if (!template_file_.empty()) {
      LLMRUN_ASSIGN(settings_.render.template_override, read_input(template_file_));
    }
    return {};
  }

  // Nothing: an interactive chat.
  Result<std::optional<std::string>> assemble_prompt() {
    std::string prompt;
    const auto append = [&prompt](std::string_view part) {
      if (part.empty()) return;
      if (!prompt.empty() && !prompt.ends_with('\n')) prompt += '\n';
      prompt += part;
    };
    for (const std::string& file : settings_.files) {
      LLMRUN_ASSIGN(const std::string text, read_input(file));
      append(text);
    }
    const bool in_terminal = is_terminal(STDIN_FILENO);
    if (!in_terminal) {
      LLMRUN_ASSIGN(const std::string text, read_stdin());
      append(text);
    }
    append(settings_.prompt);
    const bool asked = options.arguments()[1].given || !settings_.files.empty();
    if (!asked && in_terminal && is_terminal(STDOUT_FILENO)) {
      if (!settings_.receipt.empty()) {
        return make_error(ErrorCode::kUsage, "--receipt is of one answer: give a PROMPT or --file");
      }
      if (settings_.raw) {
        return make_error(ErrorCode::kUsage, "--raw continues a text: give a PROMPT or --file");
      }
      return std::nullopt;
    }
    if (prompt.find_first_not_of(" \t\r\n") == std::string::npos) {
      return make_error(ErrorCode::kUsage,
                        "the prompt is empty: give PROMPT, --file, or text on standard input (a "
                        "chat needs a terminal)");
    }
    if (no_save_ && !settings_.resume) {
      return make_error(ErrorCode::kUsage, "--no-save has no effect: one answer is not saved");
    }
    return prompt;
  }

  // The chat to go on with, or a new one. Fills in the model.
  Result<Chat> find_chat() {
    const ChatStore store(store::chats_dir());
    if (!settings_.resume) {
      if (settings_.model.empty()) {
        return make_error(ErrorCode::kUsage,
                          "MODEL is missing: a GGUF file, or a name that 'llmrun list' shows. See "
                          "'llmrun run --help'");
      }
      return Chat{};
    }
    LLMRUN_ASSIGN(Chat chat, settings_.resume_id.empty() ? store.latest(settings_.model)
                                                         : store.load(settings_.resume_id));
    if (settings_.model.empty()) settings_.model = chat.model;
    // What is asked for now goes before what the chat was started with.
    SamplingChoices sampling = chat.sampling;
    for (const auto& [name, value] : settings_.sampling) LLMRUN_TRY(choose(sampling, name, value));
    settings_.sampling = std::move(sampling);
    return chat;
  }

  RunSettings settings_;
  std::string template_file_;
  bool think_ = false, no_think_ = false, no_save_ = false;
};

}  // namespace

std::unique_ptr<Command> make_run_command() { return std::make_unique<RunCommand>(); }

}  // namespace llmrun::cli
