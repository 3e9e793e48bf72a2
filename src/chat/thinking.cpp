// A state machine over the text: it holds back only what may still turn out to be a tag.
#include "chat/thinking.h"

#include <algorithm>
#include <array>

namespace llmrun::chat {
namespace {

struct TagPair {
  std::string_view open;
  std::string_view close;
};

// How models mark their thinking.
constexpr std::array<TagPair, 14> kPairs = {{
    {"<think>", "</think>"},  // DeepSeek R1, Qwen3, GLM, SmolLM3 …
    {"<thinking>", "</thinking>"},
    {"<thought>", "</thought>"},
    {"<reasoning>", "</reasoning>"},
    {"<seed:think>", "</seed:think>"},           // Seed-OSS
    {"[THINK]", "[/THINK]"},                     // Magistral, Ministral 3
    {"<|START_THINKING|>", "<|END_THINKING|>"},  // Command R7B, Command A
    {"<think_fast>", "</think_fast>"},
    {"<|inner_prefix|>", "<|inner_suffix|>"},           // Apertus
    {"<mm:think>", "</mm:think>"},                      // MiniMax M3
    {"<think:opensource>", "</think:opensource>"},      // Hy3
    {"<|open|>think<|sep|>", "<|close|>think<|sep|>"},  // Kimi K3
    {"<|channel>thought", "<channel|>"},                // Gemma 4
    // gpt-oss: the analysis channel, up to the header of the final one.
    {"<|channel|>analysis<|message|>", "<|channel|>final<|message|>"},
}};

constexpr std::string_view kBlanks = " \t\r\n";
// gpt-oss answers without thinking begin with this header, which is no part of the answer.
constexpr std::string_view kFinalHeader = "<|channel|>final<|message|>";
// What stands between the analysis and the final channel of gpt-oss.
constexpr std::string_view kEndOfMessage = "<|end|>";
constexpr std::string_view kNextMessage = "<|start|>assistant";

bool is_prefix(std::string_view part, std::string_view whole) {
  return part.size() < whole.size() && whole.substr(0, part.size()) == part;
}

bool starts_with(std::string_view text, std::string_view start) {
  return text.substr(0, start.size()) == start;
}

bool ends_with(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

std::string_view trim_right(std::string_view text) {
  const size_t last = text.find_last_not_of(kBlanks);
  return last == std::string_view::npos ? std::string_view() : text.substr(0, last + 1);
}

bool is_channel_pair(size_t pair) { return kPairs[pair].close == kFinalHeader; }

// How many bytes at the end of `text` may be the beginning of `tag`.
size_t held_tail(std::string_view text, std::string_view tag) {
  for (size_t size = std::min(text.size(), tag.size() - 1); size > 0; --size) {
    if (is_prefix(text.substr(text.size() - size), tag)) return size;
  }
  return 0;
}

// The end of thinking in `text` from which the closing tag, and for gpt-oss the message borders
// before it, are cut.
std::string_view without_borders(std::string_view thought) {
  if (ends_with(thought, kNextMessage)) thought.remove_suffix(kNextMessage.size());
  if (ends_with(thought, kEndOfMessage)) thought.remove_suffix(kEndOfMessage.size());
  return thought;
}

// How many bytes at the end of a thought may belong to its end.
size_t held_for_close(std::string_view thought, size_t pair) {
  const std::string_view close = kPairs[pair].close;
  size_t held = held_tail(thought, close);
  if (is_channel_pair(pair)) {
    const std::string next = std::string(kNextMessage).append(close);
    held = std::max(held, held_tail(thought, next));
    held = std::max(held, held_tail(thought, std::string(kEndOfMessage).append(close)));
    held = std::max(held, held_tail(thought, std::string(kEndOfMessage).append(next)));
  }
  return held;
}

}  // namespace

ThinkingSplitter::ThinkingSplitter(std::string_view prompt) {
  const std::string_view tail = trim_right(prompt);
  for (size_t i = 0; i < kPairs.size(); ++i) {
    if (ends_with(tail, kPairs[i].open)) {
      state_ = State::kThinking;
      pair_ = i;
      return;
    }
    if (ends_with(tail, kPairs[i].close)) {
      state_ = State::kAfterThinking;
      return;
    }
  }
}

ThinkingSplit ThinkingSplitter::feed(std::string_view text) {
  pending_ += text;
  ThinkingSplit out;
  while (step(false, out)) {
  }
  return out;
}

ThinkingSplit ThinkingSplitter::finish() {
  ThinkingSplit out;
  while (step(true, out)) {
  }
  return out;
}

// Settles what can be settled; true when the state changed, so that there may be more to do.
bool ThinkingSplitter::step(bool at_end, ThinkingSplit& out) {
  switch (state_) {
    case State::kStart:
      return step_start(at_end, out);
    case State::kThinking:
      return step_thinking(at_end, out);
    case State::kAfterThinking:
      return step_after_thinking(at_end, out);
    case State::kAnswer:
      return step_answer(at_end, out);
  }
  return false;
}

bool ThinkingSplitter::step_start(bool at_end, ThinkingSplit& out) {
  const size_t first = pending_.find_first_not_of(kBlanks);
  if (first == std::string::npos) {
    if (at_end) step_answer(true, out);
    return false;
  }
  const std::string_view text = std::string_view(pending_).substr(first);
  for (size_t i = 0; i < kPairs.size(); ++i) {
    if (starts_with(text, kPairs[i].open)) {
      state_ = State::kThinking;
      pair_ = i;
      pending_.erase(0, first + kPairs[i].open.size());
      return true;
    }
  }
  if (starts_with(text, kFinalHeader)) {
    state_ = State::kAfterThinking;
    pending_.erase(0, first + kFinalHeader.size());
    return true;
  }
  const auto undecided = [text](const TagPair& pair) { return is_prefix(text, pair.open); };
  if (!at_end &&
      (is_prefix(text, kFinalHeader) || std::any_of(kPairs.begin(), kPairs.end(), undecided))) {
    return false;
  }
  state_ = State::kAnswer;
  return true;
}

bool ThinkingSplitter::step_thinking(bool at_end, ThinkingSplit& out) {
  const std::string_view close = kPairs[pair_].close;
  if (!thought_started_) {  // blanks after the opening tag are no thought
    pending_.erase(0, std::min(pending_.find_first_not_of(kBlanks), pending_.size()));
    thought_started_ = !pending_.empty();
  }
  const size_t found = pending_.find(close);
  if (found != std::string::npos) {
    std::string_view thought = std::string_view(pending_).substr(0, found);
    if (is_channel_pair(pair_)) thought = without_borders(thought);
    out.thinking += trim_right(thought);
    pending_.erase(0, found + close.size());
    state_ = State::kAfterThinking;
    return true;
  }
  std::string_view settled = pending_;
  if (!at_end) {
    settled.remove_suffix(held_for_close(settled, pair_));
  } else if (is_channel_pair(pair_)) {
    settled = without_borders(settled);
  }
  settled = trim_right(settled);  // blanks wait: before the closing tag they are dropped
  out.thinking += settled;
  pending_.erase(0, at_end ? pending_.size() : settled.size());
  return false;
}

// Blanks between the closing tag and the answer belong to neither.
bool ThinkingSplitter::step_after_thinking(bool, ThinkingSplit&) {
  const size_t first = pending_.find_first_not_of(kBlanks);
  pending_.erase(0, std::min(first, pending_.size()));
  if (pending_.empty()) return false;
  state_ = State::kAnswer;
  return true;
}

bool ThinkingSplitter::step_answer(bool, ThinkingSplit& out) {
  out.answer += pending_;
  pending_.clear();
  return false;
}

}  // namespace llmrun::chat
