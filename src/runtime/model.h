// A loaded model (weights bound to a backend) and a context to run it in (KV cache, scratch).
// They are separate objects: a new context size never reloads weights.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "gguf/reader.h"
#include "kernels/backend.h"
#include "llmrun/error.h"
#include "runtime/adapters.h"
#include "runtime/batch.h"
#include "runtime/kv_cache.h"
#include "runtime/memory_plan.h"
#include "runtime/placement.h"
#include "runtime/recurrent_state.h"
#include "runtime/spec.h"
#include "runtime/weights.h"

namespace llmrun::runtime {

class Context;

class Model {
 public:
  // Builds the spec (through `build_spec`, which knows the architectures), checks every tensor
  // against it and binds the weights. `file` and `backend` must outlive the model.
  static Result<std::unique_ptr<Model>> load(const gguf::File& file, kernels::Backend& backend,
                                             ModelSpec spec,
                                             std::span<const AdapterFile> adapters = {});
  // With its layers divided among several backends, or each shared by all of them, which must
  // outlive the model. The logits are those of one device as far as the devices' kernels agree; of
  // shared layers, but for the rounding of sums that are added up in parts.
  static Result<std::unique_ptr<Model>> load(const gguf::File& file, Placement placement,
                                             ModelSpec spec,
                                             std::span<const AdapterFile> adapters = {},
                                             LoadFor use = LoadFor::kRunning);
  virtual ~Model() = default;
  [[nodiscard]] virtual const ModelSpec& spec() const = 0;
  // The one whose threads do the host's work: of several devices the first.
  [[nodiscard]] virtual kernels::Backend& backend() const = 0;
  [[nodiscard]] virtual const Placement& placement() const = 0;

  // Names of the tensors of the file that the model does not use.
  [[nodiscard]] virtual std::vector<std::string> unused_tensors() const = 0;

  // Every byte a context of these options would need, weights included. Nothing is allocated.
  [[nodiscard]] virtual Result<MemoryPlan> plan(const ContextOptions& options) const = 0;
  // Allocates exactly what plan(options) says; kOutOfMemory when the machine has less.
  virtual Result<std::unique_ptr<Context>> new_context(const ContextOptions& options) = 0;
};

class Context {
 public:
  virtual ~Context() = default;
  [[nodiscard]] virtual const ContextOptions& options() const = 0;
  [[nodiscard]] virtual kernels::Backend& backend() = 0;
  // The one that computes the logits, when the layers are divided.
  [[nodiscard]] virtual kernels::Backend& head_backend() { return backend(); }

  virtual Result<SequenceId> open_sequence() = 0;
  virtual void close_sequence(SequenceId sequence) = 0;
  // Tokens the sequence's cache holds.
  [[nodiscard]] virtual int64_t length(SequenceId sequence) const = 0;
  // The longest beginning of the sequence, of at most n_tokens, that truncate() and fork_sequence()
  // can keep. Without recurrent mixers and sliding windows that is n_tokens itself. A recurrent
  // state exists after the last token only: a model that has one keeps all of the sequence or
  // nothing, and the tokens from there on must be run again. A window goes back a page or so.
  [[nodiscard]] virtual int64_t restorable(SequenceId sequence, int64_t n_tokens) const = 0;
  // Forgets everything from position n_tokens on (a new turn, rejected draft tokens). kUnsupported,
  // and nothing is changed, when restorable(sequence, n_tokens) is less than n_tokens.
  virtual Result<void> truncate(SequenceId sequence, int64_t n_tokens) = 0;
  // A new sequence that shares the cache of the first n_tokens of `parent`, rounded down to whole
  // pages of kPageTokens and to what is restorable: its length() says how many. A recurrent state
  // is copied. Both go on independently.
  virtual Result<SequenceId> fork_sequence(SequenceId parent, int64_t n_tokens) = 0;
  // Tokens that still fit, over all sequences.
  [[nodiscard]] virtual int64_t free_tokens() const = 0;
  // For those who keep pages and states beside the sequences (engine/prefix_cache.h).
  // What the bytes of pages and states depend on besides the weights, the tokens and the kernels:
  // layout, types, rotary frequencies. Equal words mean that they can be exchanged.
  [[nodiscard]] virtual std::string fingerprint() const = 0;
  [[nodiscard]] virtual KvCache& cache() = 0;
  [[nodiscard]] virtual RecurrentStates& states() = 0;

  // Runs the batch and appends its tokens to the caches. At most options().batch_tokens tokens.
  // kContextOverflow names the tokens needed and available; nothing is changed then.
  // Any way to cut a prompt into batches gives the same logits, bit for bit.
  virtual Result<Logits> forward(const Batch& batch) = 0;

  // Only with options().pooling: reads every text whole, in one pass, and gives a row for each (one
  // per token with Pooling::kNone). At most options().max_sequences texts of batch_tokens tokens in
  // all. A text's rows are the same, bit for bit, whatever texts are read beside it.
  virtual Result<Embeddings> embed(std::span<const EmbedInput> texts) = 0;
};

}  // namespace llmrun::runtime
