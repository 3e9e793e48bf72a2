// Decides what the next forward pass works on: first the next token of every answer, then, with
// the room that is left, prompts in the order they came. So answers never wait for a long prompt,
// and a prompt is read in chunks of at most batch_tokens.
//
// Requests are admitted in the order they came, when the pool has pages for their prompts. Answers
// grow after that: when the pool is full, the sequence that came last gives its pages back and
// waits; later it goes on with the same tokens and the same sampler, so its answer is the same.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "engine/prefix_cache.h"
#include "engine/prefix_store.h"
#include "engine/sequence.h"
#include "runtime/model.h"

namespace llmrun::engine {

class Scheduler {
 public:
  // `context` must outlive this object.
  Scheduler(runtime::Context& context, int64_t n_vocab);
  // Null: nothing is kept on disk. Must outlive this object.
  void set_store(PrefixStore* store) { store_ = store; }

  // The caller keeps the sequence alive until it is done.
  void add(Sequence& sequence);
  // The next batch; empty when nothing is left to do. Valid until the next call.
  Result<const runtime::Batch*> next();
  // The batch was run: hands every sequence its row and lets go of those that are done.
  void accept(const runtime::Logits& logits);
  // The batch failed: every sequence that was running ends with this error.
  void fail(const Error& error);
  // Takes the pages of sequences that are done, for instance cancelled, back.
  void release_done();

  [[nodiscard]] PrefixCache& cache() { return cache_; }
  [[nodiscard]] const PrefixCache& cache() const { return cache_; }
  [[nodiscard]] int64_t n_preempted() const { return n_preempted_; }

 private:
  Result<void> admit();
  [[nodiscard]] bool may_start(const Sequence& sequence, const PrefixCache::Found& found) const;
  [[nodiscard]] bool is_being_read(const Sequence& sequence, const PrefixCache::Found& found) const;
  // Tokens of each running sequence in the next pass, beside running_.
  void share_out();
  void preempt_last();
  void requeue(size_t running_index);
  void add_chunk(Sequence& sequence, int64_t n_tokens);

  runtime::Context& context_;
  PrefixCache cache_;
  bool finds_best_;  // the backend gives the logits that a draw looks at, if it is asked
  std::vector<sampling::Workspace> drawing_;  // one for each thread
  PrefixStore* store_ = nullptr;
  std::deque<Sequence*> waiting_;    // have no pages, in the order they came
  std::vector<Sequence*> running_;   // have some, in the order they came
  std::vector<int64_t> n_tokens_;    // beside running_
  std::vector<Sequence*> in_batch_;  // beside batch_.chunks
  std::vector<Sequence*> draw_;      // beside the rows of logits
  runtime::Batch batch_;
  uint64_t n_added_ = 0;
  int64_t n_preempted_ = 0;
};

}  // namespace llmrun::engine
