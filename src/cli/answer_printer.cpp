// The looks of an answer.
#include "cli/answer_printer.h"

#include <unistd.h>

#include <algorithm>

#include "base/error.h"
#include "base/terminal.h"
#include "base/utf8.h"
#include "cli/json.h"
#include "cli/output.h"

namespace llmrun::cli {
namespace {

double per_second(double amount, double seconds) { return seconds > 0 ? amount / seconds : 0; }

// Decoded tokens of a run: the first comes out of the prompt's pass, so it cost no decode time.
std::string rate_text(int64_t tokens, double seconds) {
  return fmt::format("{} tokens in {:.2f} s, {:.1f} tok/s", tokens, seconds,
                     per_second(static_cast<double>(tokens), seconds));
}

}  // namespace

AnswerPrinter::AnswerPrinter(const RunSettings& settings)
    : terminal_(is_terminal(STDOUT_FILENO)),
      color_(wants_color(STDOUT_FILENO)),
      show_thinking_(terminal_ && !settings.hide_thinking),
      silent_(settings.json) {
  // Without colour there is no way to show emphasis: the text stays as it is.
  if (color_ && !settings.plain) {
    markdown_ = std::make_unique<MarkdownPrinter>([](std::string_view text) { write_out(text); },
                                                  terminal_width(STDOUT_FILENO));
  }
}

bool AnswerPrinter::write(const StreamEvent& event) {
  if (silent_) return true;
  if (event.thinking) {
    if (!show_thinking_) return true;
    if (thinking_ == nullptr) begin_thinking();
    const std::string safe = safe_for_terminal(event.text);
    for (size_t i = 0; i < safe.size();) {
      const size_t length = std::max<size_t>(1, utf8::decode(safe, i).length);
      if (safe[i] == '\n') {
        thinking_->end_line();
      } else {
        thinking_->put(std::string_view(safe).substr(i, length), color_ ? kDim : kPlain);
      }
      i += length;
    }
  } else {
    if (thinking_ != nullptr) end_thinking();
    wrote_answer_ = true;
    if (markdown_ != nullptr) {
      markdown_->write(event.text);
    } else {
      write_out(terminal_ ? safe_for_terminal(event.text) : std::string(event.text));
    }
    if (!event.text.empty()) ends_with_newline_ = event.text.back() == '\n';
  }
  flush_out();
  return !output_failed();
}

void AnswerPrinter::begin_thinking() {
  write_out(color_ ? "\x1b[2mThinking...\x1b[0m\n" : "Thinking...\n");
  thinking_ = std::make_unique<WordWrapper>([](std::string_view text) { write_out(text); },
                                            terminal_width(STDOUT_FILENO));
}

void AnswerPrinter::end_thinking() {
  if (!thinking_->at_line_start()) thinking_->end_line();
  thinking_->reset();
  thinking_.reset();
  write_out(color_ ? "\x1b[2m...done thinking.\x1b[0m\n\n" : "...done thinking.\n\n");
}

void AnswerPrinter::finish() {
  if (silent_) return;
  if (thinking_ != nullptr) end_thinking();
  if (markdown_ != nullptr) {
    markdown_->finish();
  } else if (wrote_answer_ && !ends_with_newline_) {
    write_out("\n");
  }
  flush_out();
}

std::string departure_text(const Departure& departure) {
  return fmt::format("what was read before goes on otherwise from token {}: {} there, {} now",
                     departure.position, to_text(Json(departure.cached_text)),
                     to_text(Json(departure.given_text)));
}

std::string generation_json(const Generation& generation, const RunSettings& settings, int indent) {
  Json out = {{"model", settings.model},
              {"text", generation.text},
              {"thinking", generation.thinking},
              {"tokens", generation.tokens},
              {"stop_reason", to_string(generation.stop_reason)},
              {"seed", generation.seed}};
  if (generation.stop_reason == StopReason::kStopString) {
    out["stop_string"] = generation.stop_string;
  }
  const ContextUsage& usage = generation.usage;
  out["usage"] = {{"context_tokens", usage.context_tokens}, {"prompt_tokens", usage.prompt},
                  {"cached_tokens", usage.cached},          {"thinking_tokens", usage.thinking},
                  {"answer_tokens", usage.answer},          {"dropped_tokens", usage.dropped},
                  {"reserved_tokens", usage.reserved}};
  if (generation.departure) {
    const Departure& departure = *generation.departure;
    out["cache_departure"] = {{"position", departure.position},
                              {"cached_token", departure.cached},
                              {"cached_text", departure.cached_text},
                              {"given_token", departure.given},
                              {"given_text", departure.given_text}};
  }
  const Timings& timings = generation.timings;
  out["timings"] = {
      {"prompt_seconds", timings.prompt_seconds},
      {"prompt_tokens", timings.prompt_tokens},
      {"prompt_tokens_per_second",
       per_second(static_cast<double>(timings.prompt_tokens), timings.prompt_seconds)},
      {"decode_seconds", timings.decode_seconds},
      {"decode_tokens", timings.decode_tokens},
      {"decode_tokens_per_second",
       per_second(static_cast<double>(timings.decode_tokens), timings.decode_seconds)},
      {"first_token_seconds", timings.first_token_seconds}};
  return to_text(out, indent);
}

std::string verbose_text(Conversation& conversation, const Generation& generation) {
  const Model& model = conversation.model();
  const Timings& timings = generation.timings;
  const ContextUsage& usage = generation.usage;
  // A shift makes room for answers longer than the context.
  const int64_t used = std::min(usage.prompt + usage.thinking + usage.answer, usage.context_tokens);
  const double gigabytes = static_cast<double>(model.bytes_per_token()) *
                           static_cast<double>(timings.decode_tokens) / 1e9;
  std::string text =
      fmt::format("\nload     {:.2f} s on {}\n", model.load_seconds(), model.device());
  if (!model.device_reason().empty()) text += fmt::format("device   {}\n", model.device_reason());
  if (!model.info().rope.empty()) text += fmt::format("rope     {}\n", model.info().rope);
  text += fmt::format("prompt   {}{}\n", rate_text(timings.prompt_tokens, timings.prompt_seconds),
                      usage.cached > 0 ? fmt::format(" ({} more were cached)", usage.cached) : "");
  text += fmt::format("answer   {}, {:.2f} GB/s\n",
                      rate_text(timings.decode_tokens, timings.decode_seconds),
                      per_second(gigabytes, timings.decode_seconds));
  text += fmt::format(
      "context  {} of {} tokens ({:.1f} %)", used, usage.context_tokens,
      100 * per_second(static_cast<double>(used), static_cast<double>(usage.context_tokens)));
  text += fmt::format(", {}", conversation.session().memory().context_source);
  if (usage.dropped > 0) text += fmt::format(", {} dropped", usage.dropped);
  if (generation.departure) {
    text += fmt::format("\ncache    {}", departure_text(*generation.departure));
  }
  const std::string why_not = conversation.session().why_not_kept();
  if (!why_not.empty()) text += fmt::format("\ncache    not kept on disk: {}", why_not);
  return text + fmt::format("\nend      {}, seed {}\n", to_string(generation.stop_reason),
                            generation.seed);
}

}  // namespace llmrun::cli
