// What an answer is asked for with, and what comes back. Vocabulary: any layer may include this
// header.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "llmrun/export.h"
#include "llmrun/message.h"
#include "llmrun/sampling_options.h"

namespace llmrun {

enum class StopReason : uint8_t {
  kEndOfTurn,
  kStopString,
  kTokenLimit,
  kContextFull,
  kCancelled,
  kLoop,  // the answer went round in a circle, see GenerateOptions::loop_guard
};
LLMRUN_API std::string_view to_string(
    StopReason reason);  // "end", "stop", "limit", "context", "cancelled", "loop"

// What happens when a text is longer than the context.
enum class Overflow : uint8_t {
  kError,          // kContextOverflow, with both numbers; an answer ends with kContextFull
  kTruncateFront,  // of a prompt the oldest tokens go; an answer ends with kContextFull
  kShift,          // the same, and when an answer fills the context, the older half of it goes
};

struct GenerateOptions {
  SamplingOptions sampling;
  int64_t max_tokens = -1;  // -1: until the end of turn or of the context
  std::vector<std::string> stop;
  bool ignore_end = false;  // goes on after an end-of-turn token (benchmarks)
  Overflow on_overflow = Overflow::kError;
  // The prompt's first tokens, which no overflow drops. Session::chat() keeps the system message
  // by itself.
  int64_t keep_tokens = 0;
  // Ends an answer (kLoop) that repeats the same tokens over and over, exactly: a circle of at most
  // 256 tokens that came at least 8 times and 256 tokens long.
  bool loop_guard = false;
  bool hash_logits = false;  // fills Generation::logits_hashes, for receipts
};

// A piece of the answer as it comes: whole characters, never the beginning of a stop string.
struct StreamEvent {
  std::string_view text;
  bool thinking = false;  // part of the thought, not of the answer
};
// Returns false to stop (kCancelled).
using StreamCallback = std::function<bool(const StreamEvent&)>;

// Where the context went, in tokens. Nothing is ever dropped without being counted here.
struct ContextUsage {
  int64_t context_tokens = 0;  // the size of the context
  int64_t prompt = 0;          // tokens of this request's prompt …
  int64_t cached = 0;          // … of which were still in the cache
  int64_t thinking = 0;
  int64_t answer = 0;
  int64_t dropped = 0;   // of the prompt (not counted there), and of shifts
  int64_t reserved = 0;  // what the prompt left to the answer, at most max_tokens
};

// Why a prompt was not found in the cache whole: where it departs from a text that was read before.
struct Departure {
  int64_t position = 0;  // of the first token that differs
  TokenId cached = 0;    // what came there before
  TokenId given = 0;     // what the prompt has
  std::string cached_text, given_text;
};

struct Timings {
  double prompt_seconds = 0;  // reading the prompt's tokens that were not cached
  double decode_seconds = 0;
  int64_t prompt_tokens = 0;  // tokens read in prompt_seconds
  int64_t decode_tokens = 0;
  double first_token_seconds = 0;  // from the call to the first token
};

struct Generation {
  std::string text;      // the answer, without the thought
  std::string thinking;  // the thought, without its tags
  std::vector<TokenId> tokens;
  // Of each token: a hash of the logits it was drawn from and of all before.
  std::vector<uint64_t> logits_hashes;
  StopReason stop_reason = StopReason::kEndOfTurn;
  std::string stop_string;  // which one, with kStopString
  uint64_t seed = 0;        // the seed that was used
  ContextUsage usage;
  std::optional<Departure> departure;
  Timings timings;
};

}  // namespace llmrun
