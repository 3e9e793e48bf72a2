// Prints an answer as it comes, and the numbers behind it.
#pragma once

#include <memory>
#include <string>

#include "cli/conversation.h"
#include "cli/markdown.h"
#include "cli/run_settings.h"
#include "llmrun/model.h"

namespace llmrun::cli {

// On a terminal: Markdown (or plain text), thinking dim between two lines that say so. In a pipe:
// the text of the answer, byte for byte, and nothing else.
class AnswerPrinter {
 public:
  explicit AnswerPrinter(const RunSettings& settings);

  // A StreamCallback: false when nothing can be written any more.
  bool write(const StreamEvent& event);
  // Ends the last line.
  void finish();

 private:
  void begin_thinking();
  void end_thinking();

  bool terminal_, color_, show_thinking_;
  bool silent_;                                // the answer is printed as one JSON object
  std::unique_ptr<MarkdownPrinter> markdown_;  // null: plain
  std::unique_ptr<WordWrapper> thinking_;      // while a thought is printed
  bool ends_with_newline_ = true;
  bool wrote_answer_ = false;
};

// Text, thinking, tokens, stop reason, usage, timings.
std::string generation_json(const Generation& generation, const RunSettings& settings, int indent);

// Why a prompt was not in the cache whole.
std::string departure_text(const Departure& departure);

// What --verbose prints on stderr: load time, tok/s, GB/s, share of the context used.
std::string verbose_text(Conversation& conversation, const Generation& generation);

}  // namespace llmrun::cli
