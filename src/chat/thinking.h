// Splits what a model writes into its thinking (<think> … </think> and the like) and its answer,
// while it is being written.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace llmrun::chat {

// Newly settled text; either part may be empty.
struct ThinkingSplit {
  std::string thinking;
  std::string answer;
};

// Feed the decoded text in pieces of any size; the concatenated results do not depend on where the
// pieces were cut. A tag counts only at the very start of the answer (after blanks), or where the
// prompt's tail has already opened it: "</think>" in the middle of an answer is plain text. Blanks
// just inside and just after the tags are dropped.
class ThinkingSplitter {
 public:
  // `prompt` is the rendered prompt (only its tail is looked at): a template may open the tag
  // itself, so that the model starts inside its thinking.
  explicit ThinkingSplitter(std::string_view prompt = {});

  ThinkingSplit feed(std::string_view text);
  // The end of generation: settles what was held back. Thinking that was never closed stays
  // thinking, and the answer stays empty.
  ThinkingSplit finish();

  // True while the text being written is thinking.
  bool thinking() const { return state_ == State::kThinking; }

 private:
  enum class State : unsigned char { kStart, kThinking, kAfterThinking, kAnswer };

  bool step(bool at_end, ThinkingSplit& out);
  bool step_start(bool at_end, ThinkingSplit& out);
  bool step_thinking(bool at_end, ThinkingSplit& out);
  bool step_after_thinking(bool at_end, ThinkingSplit& out);
  bool step_answer(bool at_end, ThinkingSplit& out);

  State state_ = State::kStart;
  size_t pair_ = 0;  // which tag pair of the table is open
  bool thought_started_ = false;
  std::string pending_;  // not settled yet: blanks, or what may be the beginning of a tag
};

}  // namespace llmrun::chat
