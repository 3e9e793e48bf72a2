// The engine: requests go in, a step at a time runs the model for all of them, answers come out.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "engine/scheduler.h"
#include "engine/sequence.h"
#include "llmrun/error.h"
#include "llmrun/generation.h"
#include "runtime/model.h"

namespace llmrun::engine {

// Not thread-safe, except for the flag that run() looks at.
class Engine {
 public:
  // `context` and the vocabulary's tokenizer must outlive this object.
  Engine(runtime::Context& context, const Vocabulary& vocabulary);
  // Keeps what is read on disk, too, and looks there for what prompts begin with.
  void keep_on_disk(PrefixStoreOptions options);
  [[nodiscard]] const PrefixStore* store() const { return store_ ? &*store_ : nullptr; }

  // Checks a request and queues it. The sequence is valid until it is handed to take().
  Result<Sequence*> submit(Request request);
  // One forward pass over what the scheduler chose. False: nothing was left to do.
  Result<bool> step();
  // Removes a sequence that is done and gives its answer.
  Result<Generation> take(Sequence* sequence);

  // submit, step until it is done, take. `cancelled` is looked at between the steps.
  Result<Generation> run(Request request, const std::atomic<bool>& cancelled);

  // Raw logits of every position from an empty cache; rows arrive batch by batch.
  using LogitsCallback = std::function<Result<void>(int64_t first_position, int64_t n_rows,
                                                    std::span<const float> rows)>;
  Result<void> logits(std::span<const TokenId> tokens, const LogitsCallback& on_rows,
                      const std::atomic<bool>& cancelled);

  // Forgets all texts that are not running.
  void clear() { scheduler_.cache().clear(); }
  [[nodiscard]] int64_t cached_tokens() const { return scheduler_.cache().held_tokens(); }
  // How often a sequence had to give its pages back for a while.
  [[nodiscard]] int64_t n_preempted() const { return scheduler_.n_preempted(); }
  [[nodiscard]] runtime::Context& context() { return context_; }

 private:
  runtime::Context& context_;
  Vocabulary vocabulary_;
  std::optional<PrefixStore> store_;
  Scheduler scheduler_;
  std::vector<std::unique_ptr<Sequence>> sequences_;
};

}  // namespace llmrun::engine
