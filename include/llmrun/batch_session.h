// Many requests at once in one context: every step runs the model once for all that are under way,
// so the weights are read once for all of them. An answer is the same, bit for bit, whoever runs
// beside it.
//
//   auto session = llmrun::BatchSession::open(model, {.max_sequences = 32}).value();
//   for (…) session.submit({.id = i, .prompt = tokens, .options = options});
//   while (session.step().value()) {
//     for (auto& answer : session.take_finished()) …
//   }
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "llmrun/error.h"
#include "llmrun/export.h"
#include "llmrun/generation.h"
#include "llmrun/model.h"

namespace llmrun {

struct BatchRequest {
  uint64_t id = 0;  // the caller's own, told again with the answer
  std::vector<TokenId> prompt = {};
  GenerateOptions options = {};
  std::string text_before = {};  // the prompt's tail, which says whether the model starts thinking
  // How the answer begins, from an earlier run of the same request with the same seed: it goes on
  // with the very token that run would have drawn next. Not under mirostat, nor with shifts.
  std::vector<TokenId> begun = {};
};

struct BatchAnswer {
  uint64_t id = 0;
  Result<Generation> generation;
};

// What is known of a request that is under way.
struct BatchProgress {
  uint64_t id = 0;
  bool prompt_read = false;         // all of its prompt is in the cache
  std::span<const TokenId> answer;  // so far; valid until the next call of the session
};

// What submit() would say against a request in a context of this size. Needs the vocabulary only,
// so a whole file of requests can be checked before the first one runs.
LLMRUN_API Result<void> check_request(const Model& model, const BatchRequest& request,
                                      int64_t context_tokens);

class LLMRUN_API BatchSession {
 public:
  // Allocates everything the session will ever need, or says kOutOfMemory now. At most
  // options.max_sequences requests run at a time; the others wait in the order they came.
  static Result<BatchSession> open(const Model& model, const ContextOptions& options);
  BatchSession(BatchSession&&) noexcept;
  BatchSession& operator=(BatchSession&&) noexcept;
  ~BatchSession();

  // Checks the request and queues it.
  Result<void> submit(BatchRequest request);
  // One pass of the model. False: nothing was left to do. After an error no request is left.
  Result<bool> step();
  // The answers that are complete, in the order the requests came. The error of one request is in
  // its answer and does not concern the others.
  std::vector<BatchAnswer> take_finished();
  // Those that are not, in the order they came.
  [[nodiscard]] std::vector<BatchProgress> unfinished() const;

  [[nodiscard]] int64_t context_tokens() const;
  [[nodiscard]] const MemoryEstimate& memory() const;

 private:
  struct Impl;
  explicit BatchSession(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace llmrun
