// Decides what the next forward pass works on: first the next token of every answer, then, with
// the room that is left, prompts in the order they came. So answers never wait for a long prompt,
// and a prompt is read in chunks of at most batch_tokens.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "engine/sequence.h"
#include "engine/slots.h"
#include "runtime/model.h"

namespace llmrun::engine {

class Scheduler {
 public:
  // `context` must outlive this object.
  explicit Scheduler(runtime::Context& context) : context_(context), slots_(context) {}

  // The caller keeps the sequence alive until it is done.
  void add(Sequence& sequence) { waiting_.push_back(&sequence); }
  // The next batch; empty when nothing is left to do. Valid until the next call.
  Result<const runtime::Batch*> next();
  // The batch was run: hands every sequence its row and lets go of those that are done.
  void accept(const runtime::Logits& logits);
  // The batch failed: every sequence that was running ends with this error.
  void fail(const Error& error);
  // Takes the slots of sequences that are done, for instance cancelled, back.
  void release_done();

  [[nodiscard]] Slots& slots() { return slots_; }
  [[nodiscard]] const Slots& slots() const { return slots_; }

 private:
  void add_chunk(Sequence& sequence, int64_t room);

  runtime::Context& context_;
  Slots slots_;
  std::deque<Sequence*> waiting_;    // have no slot yet, first come first served
  std::vector<Sequence*> running_;   // have one, in the order they came
  std::vector<Sequence*> in_batch_;  // beside batch_.chunks
  runtime::Batch batch_;
};

}  // namespace llmrun::engine
