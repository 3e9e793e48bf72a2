// A context without a model: its logits are a function of the tokens so far, so that the engine
// can be tested token by token, with several sequences, and with errors on demand.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "runtime/model.h"

namespace llmrun::engine {

class FakeContext final : public runtime::Context {
 public:
  // The token that gets the highest logit after these tokens.
  using Next = std::function<TokenId(const std::vector<TokenId>&)>;

  FakeContext(runtime::ContextOptions options, int64_t n_vocab, Next next)
      : options_(options), n_vocab_(n_vocab), next_(std::move(next)) {}

  [[nodiscard]] const runtime::ContextOptions& options() const override { return options_; }

  Result<runtime::SequenceId> open_sequence() override {
    if (static_cast<int64_t>(sequences_.size()) >= options_.max_sequences) {
      return make_error(ErrorCode::kUsage, "too many sequences");
    }
    const runtime::SequenceId id = next_id_++;
    sequences_[id] = {};
    return id;
  }
  void close_sequence(runtime::SequenceId sequence) override { sequences_.erase(sequence); }
  [[nodiscard]] int64_t length(runtime::SequenceId sequence) const override {
    return static_cast<int64_t>(sequences_.at(sequence).size());
  }
  [[nodiscard]] int64_t restorable(runtime::SequenceId sequence, int64_t n_tokens) const override {
    return is_recurrent && n_tokens < length(sequence) ? 0 : n_tokens;
  }
  Result<void> truncate(runtime::SequenceId sequence, int64_t n_tokens) override {
    if (restorable(sequence, n_tokens) < n_tokens) {
      return make_error(ErrorCode::kUnsupported, "cannot go back");
    }
    sequences_.at(sequence).resize(static_cast<size_t>(n_tokens));
    return {};
  }
  Result<runtime::SequenceId> fork_sequence(runtime::SequenceId, int64_t) override {
    return make_error(ErrorCode::kUnsupported, "no forks here");
  }
  [[nodiscard]] int64_t free_tokens() const override { return 0; }

  Result<runtime::Logits> forward(const runtime::Batch& batch) override {
    if (fail_after-- == 0) return make_error(ErrorCode::kInternal, "the device fell off");
    logits_.clear();
    int64_t n_rows = 0;
    std::vector<std::pair<runtime::SequenceId, size_t>> record;
    for (const runtime::Chunk& chunk : batch.chunks) {
      record.emplace_back(chunk.sequence, chunk.tokens.size());
      std::vector<TokenId>& tokens = sequences_.at(chunk.sequence);
      for (size_t i = 0; i < chunk.tokens.size(); ++i) {
        tokens.push_back(chunk.tokens[i]);
        const bool is_last = i + 1 == chunk.tokens.size();
        if (chunk.logits == runtime::WantedLogits::kAll ||
            (chunk.logits == runtime::WantedLogits::kLast && is_last)) {
          add_row(tokens);
          ++n_rows;
        }
      }
      if (static_cast<int64_t>(tokens.size()) > options_.context_tokens) {
        return make_error(ErrorCode::kContextOverflow, "the engine let a sequence overflow");
      }
    }
    passes.push_back(std::move(record));
    return runtime::Logits{logits_.data(), n_rows, n_vocab_};
  }

  Result<runtime::Embeddings> embed(std::span<const runtime::EmbedInput>) override {
    return make_error(ErrorCode::kUnsupported, "no vectors here");
  }

  bool is_recurrent = false;
  int fail_after = -1;  // forward passes until one fails; negative: never
  // Of every pass: sequence and number of tokens of each chunk.
  std::vector<std::vector<std::pair<runtime::SequenceId, size_t>>> passes;

 private:
  void add_row(const std::vector<TokenId>& tokens) {
    const TokenId best = next_(tokens);
    for (TokenId id = 0; id < n_vocab_; ++id) logits_.push_back(id == best ? 5.0F : 0.0F);
  }

  runtime::ContextOptions options_;
  int64_t n_vocab_;
  Next next_;
  runtime::SequenceId next_id_ = 0;
  std::map<runtime::SequenceId, std::vector<TokenId>> sequences_;
  std::vector<float> logits_;
};

}  // namespace llmrun::engine
