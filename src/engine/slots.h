// The conversations a context can hold, and the tokens each one's cache holds. A new prompt takes
// the free slot that it can reuse the longest beginning of, so only the rest is read.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "llmrun/error.h"
#include "llmrun/message.h"
#include "runtime/model.h"

namespace llmrun::engine {

struct Slot {
  runtime::SequenceId sequence = 0;
  std::vector<TokenId> tokens;  // what the cache holds, in order
  bool open = false;            // the context knows the sequence
  bool busy = false;
  uint64_t last_used = 0;
};

class Slots {
 public:
  // `context` must outlive this object.
  explicit Slots(runtime::Context& context);

  [[nodiscard]] bool any_free() const;
  // A free slot whose cache holds only tokens that `prompt` begins with, and at least one token
  // less than it: the last one must be run to give logits. kUsage when none is free.
  Result<Slot*> acquire(std::span<const TokenId> prompt);
  void release(Slot& slot);
  // Forgets what free slots hold.
  void clear();
  // Tokens held by all slots.
  [[nodiscard]] int64_t held_tokens() const;

 private:
  // Tokens of the slot that a run of `prompt` need not read again; fewer than the two have in
  // common where the model cannot go back to that point.
  [[nodiscard]] size_t usable_prefix(const Slot& slot, std::span<const TokenId> prompt) const;
  Result<void> keep_prefix(Slot& slot, size_t n_tokens);

  runtime::Context& context_;
  std::vector<Slot> slots_;
  uint64_t clock_ = 0;
};

// How many tokens both begin with.
size_t common_prefix(std::span<const TokenId> a, std::span<const TokenId> b);

}  // namespace llmrun::engine
