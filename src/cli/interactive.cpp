// The loop of the interactive chat.
#include "cli/interactive.h"

#include <termios.h>
#include <unistd.h>

#include <cstdio>

#include "base/error.h"
#include "base/terminal.h"
#include "cli/answer_printer.h"
#include "cli/error_report.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "store/paths.h"

namespace llmrun::cli {
namespace {

constexpr std::string_view kQuotes = "\"\"\"";

std::filesystem::path history_path(const RunSettings& settings) {
  if (!settings.save) return {};
  std::error_code failure;
  std::filesystem::create_directories(store::data_dir(), failure);
  return failure ? std::filesystem::path() : store::history_file();
}

// An odd number of """ leaves a text open.
bool is_open_quoted(std::string_view text) {
  size_t n = 0;
  for (size_t at = text.find(kQuotes); at != std::string_view::npos;
       at = text.find(kQuotes, at + kQuotes.size())) {
    ++n;
  }
  return n % 2 == 1;
}

bool may_be_quoted(std::string_view line) {
  return line.starts_with(kQuotes) || line.starts_with("/set ") || line.starts_with("/retry ");
}

std::string trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return "";
  return std::string(text.substr(first, text.find_last_not_of(" \t\r\n") + 1 - first));
}

// While an answer streams, keys are not echoed into it ("^C", or a line typed ahead, which the
// editor shows when it reads it).
class QuietKeys {
 public:
  QuietKeys() : active_(tcgetattr(STDIN_FILENO, &before_) == 0) {
    if (!active_) return;
    termios quiet = before_;
    quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    (void)tcsetattr(STDIN_FILENO, TCSANOW, &quiet);
  }
  QuietKeys(const QuietKeys&) = delete;
  QuietKeys& operator=(const QuietKeys&) = delete;
  ~QuietKeys() {
    if (active_) (void)tcsetattr(STDIN_FILENO, TCSANOW, &before_);
  }

 private:
  termios before_ = {};
  bool active_;
};

// What a resumed chat was about.
std::string recap(const Chat& chat) {
  constexpr size_t kMostBytes = 60;
  std::string text;
  for (const Message& message : chat.messages) {
    if (message.role == "user") text = message.content.substr(0, message.content.find('\n'));
  }
  if (text.size() > kMostBytes) {
    size_t end = kMostBytes;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;  // UTF-8
    text = text.substr(0, end) + "…";
  }
  return fmt::format("Going on with {} ({} messages). You said last: {}",
                     chat.name.empty() ? "the chat " + chat.id : "'" + chat.name + "'",
                     chat.messages.size(), text);
}

}  // namespace

void say_error(const Error& error) {
  if (error.code != ErrorCode::kInterrupted) (void)report_error(error, false);
}

InteractiveChat::InteractiveChat(RunSettings& settings, Conversation& conversation)
    : settings_(settings),
      conversation_(conversation),
      store_(store::chats_dir()),
      editor_(history_path(settings)) {}

Result<void> InteractiveChat::run() {
  const bool color = wants_color(STDOUT_FILENO);
  print("{}{} on {}, context of {} tokens ({}). /? for help, Ctrl-D to leave.{}\n",
        color ? "\x1b[2m" : "", safe_for_terminal(settings_.model), conversation_.model().device(),
        conversation_.session().context_tokens(), conversation_.session().memory().context_source,
        color ? "\x1b[0m" : "");
  if (!conversation_.chat().messages.empty() && !conversation_.chat().id.empty()) {
    print("{}\n", safe_for_terminal(recap(conversation_.chat())));
  }
  flush_out();
  while (!leaving_) {
    const std::optional<std::string> message = read_message();
    if (!message) break;
    if (trimmed(*message).empty()) continue;
    if (message->starts_with('/') && run_slash_command(*this, trimmed(*message))) {
      flush_out();
      continue;
    }
    answer(*message);
    if (output_failed()) return finish_output();
  }
  return {};
}

// One message: a line, lines that were pasted together, or lines between """. Nothing: the user
// leaves.
std::optional<std::string> InteractiveChat::read_message() {
  std::string message;
  switch (editor_.read(L">>> ", message)) {
    case LineEditor::Event::kEnd:
      print("\n");
      return std::nullopt;
    case LineEditor::Event::kInterrupted:
      if (trimmed(message).empty()) print("Ctrl-D or /bye leaves.\n");
      return "";
    case LineEditor::Event::kLine:
      break;
  }
  editor_.remember(message);
  if (may_be_quoted(message) && is_open_quoted(message) && !finish_quoted(message)) return "";
  if (message.starts_with('/')) return message;
  if (message.starts_with(kQuotes)) {
    message.erase(0, kQuotes.size());
    const size_t end = message.rfind(kQuotes);
    if (end != std::string::npos) message.erase(end, kQuotes.size());
    return trimmed(message);
  }
  while (editor_.more_waiting()) {
    std::string line;
    if (editor_.read(L"... ", line) != LineEditor::Event::kLine) return "";
    message += "\n" + line;
  }
  return message;
}

// Reads on until """ closes. False: the user gave the message up.
bool InteractiveChat::finish_quoted(std::string& message) {
  while (is_open_quoted(message)) {
    std::string line;
    if (editor_.read(L"... ", line) != LineEditor::Event::kLine) return false;
    editor_.remember(line);
    message += "\n" + line;
  }
  return true;
}

void InteractiveChat::show(const Result<Generation>& generation) {
  if (!generation) {
    say_error(generation.error());
    return;
  }
  if (settings_.json) print("{}\n", generation_json(*generation, settings_, 2));
  if (generation->stop_reason == StopReason::kContextFull) {
    print("(the context of {} tokens is full; /clear starts afresh, /set ctx N makes it larger)\n",
          generation->usage.context_tokens);
  } else if (generation->stop_reason == StopReason::kLoop) {
    print("(stopped: the answer went round in a circle)\n");
  } else if (generation->stop_reason == StopReason::kTokenLimit) {
    print("(stopped at --max-tokens)\n");
  } else if (generation->stop_reason == StopReason::kCancelled && generation->text.empty()) {
    print("(stopped before anything was said; the question is taken back)\n");
  }
  if (generation->usage.dropped > 0) {
    print("({} tokens of the chat were left out to fit the context)\n", generation->usage.dropped);
  }
  flush_out();
  if (settings_.verbose) {
    (void)std::fputs(verbose_text(conversation_, *generation).c_str(), stderr);
  }
  save();
}

void InteractiveChat::answer(const std::string& text) {
  const QuietKeys quiet;
  AnswerPrinter printer(settings_);
  const auto generation =
      conversation_.ask(text, [&](const StreamEvent& event) { return printer.write(event); });
  printer.finish();
  show(generation);
}

void InteractiveChat::answer_again() {
  const QuietKeys quiet;
  AnswerPrinter printer(settings_);
  const auto generation =
      conversation_.ask_again([&](const StreamEvent& event) { return printer.write(event); });
  printer.finish();
  show(generation);
}

void InteractiveChat::save() {
  if (!settings_.save) return;
  conversation_.chat().sampling = settings_.sampling;
  if (const Result<void> saved = store_.save(conversation_.chat()); !saved) {
    say_error(saved.error());
  }
}

}  // namespace llmrun::cli
