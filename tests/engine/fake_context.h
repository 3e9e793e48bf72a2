// A context without a model: its logits are a function of the tokens so far, so that the engine
// can be tested token by token, with several sequences, and with errors on demand. The tokens lie
// in the pages of a real cache, as keys do, and (is_recurrent) their count and sum in real states:
// a page or state of another text shows as an error.
#pragma once

#include <cstring>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "runtime/model.h"

namespace llmrun::engine {

// A next token that depends on all tokens before, of kMixedVocab.
inline constexpr int64_t kMixedVocab = 1000;
inline TokenId mixed(const std::vector<TokenId>& tokens) {
  uint32_t hash = 17;
  for (const TokenId id : tokens) hash = hash * 31 + static_cast<uint32_t>(id) + 7;
  return static_cast<TokenId>((hash >> 3) % kMixedVocab);
}

struct FakeShape {
  int64_t window = 0;         // a second layer sees so many tokens
  bool is_recurrent = false;  // a third one has a state
};

class FakeContext final : public runtime::Context {
 public:
  // The token that gets the highest logit after these tokens.
  using Next = std::function<TokenId(const std::vector<TokenId>&)>;
  static constexpr int64_t kPage = kernels::kPageTokens;

  FakeContext(runtime::ContextOptions options, int64_t n_vocab, Next next, FakeShape shape = {})
      : options_(options),
        n_vocab_(n_vocab),
        next_(std::move(next)),
        shape_(shape),
        cache_(make_cache(options, shape)),
        states_(make_states(options, shape)) {}

  [[nodiscard]] const runtime::ContextOptions& options() const override { return options_; }
  [[nodiscard]] kernels::Backend& backend() override { return *backend_; }

  Result<runtime::SequenceId> open_sequence() override {
    LLMRUN_ASSIGN(const runtime::SequenceId id, cache_.open());
    states_.clear(id);
    return id;
  }
  void close_sequence(runtime::SequenceId sequence) override { cache_.close(sequence); }
  [[nodiscard]] int64_t length(runtime::SequenceId sequence) const override {
    return cache_.length(sequence);
  }
  [[nodiscard]] int64_t restorable(runtime::SequenceId, int64_t) const override { return 0; }
  Result<void> truncate(runtime::SequenceId, int64_t) override {
    return make_error(ErrorCode::kUnsupported, "cannot go back");
  }
  Result<runtime::SequenceId> fork_sequence(runtime::SequenceId, int64_t) override {
    return make_error(ErrorCode::kUnsupported, "no forks here");
  }
  [[nodiscard]] int64_t free_tokens() const override { return cache_.free_tokens(); }
  [[nodiscard]] std::string fingerprint() const override { return "pretended"; }
  [[nodiscard]] runtime::KvCache& cache() override { return cache_; }
  [[nodiscard]] runtime::RecurrentStates& states() override { return states_; }

  Result<runtime::Logits> forward(const runtime::Batch& batch) override {
    if (fail_after-- == 0) return make_error(ErrorCode::kInternal, "the device fell off");
    logits_.clear();
    int64_t n_rows = 0;
    std::vector<std::pair<runtime::SequenceId, size_t>> record;
    for (const runtime::Chunk& chunk : batch.chunks) {
      record.emplace_back(chunk.sequence, chunk.tokens.size());
      LLMRUN_ASSIGN(std::vector<TokenId> tokens, run(chunk));
      const size_t first = tokens.size() - chunk.tokens.size();
      for (size_t i = 0; i < chunk.tokens.size(); ++i) {
        const bool is_last = i + 1 == chunk.tokens.size();
        if (chunk.logits == runtime::WantedLogits::kAll ||
            (chunk.logits == runtime::WantedLogits::kLast && is_last)) {
          add_row({tokens.begin(), tokens.begin() + static_cast<ptrdiff_t>(first + i + 1)});
          ++n_rows;
        }
      }
    }
    passes.push_back(std::move(record));
    return runtime::Logits{logits_.data(), n_rows, n_vocab_};
  }

  Result<runtime::Embeddings> embed(std::span<const runtime::EmbedInput>) override {
    return make_error(ErrorCode::kUnsupported, "no vectors here");
  }

  int fail_after = -1;  // forward passes until one fails; negative: never
  // Of every pass: sequence and number of tokens of each chunk.
  std::vector<std::vector<std::pair<runtime::SequenceId, size_t>>> passes;

 private:
  void add_row(const std::vector<TokenId>& tokens) {
    const TokenId best = next_(tokens);
    for (TokenId id = 0; id < n_vocab_; ++id) logits_.push_back(id == best ? 5.0F : 0.0F);
  }

  static runtime::KvCache make_cache(const runtime::ContextOptions& options, FakeShape shape) {
    runtime::ModelSpec spec;
    runtime::Attention attention;
    attention.n_heads = attention.n_kv_heads = 1;
    attention.k_dim = attention.v_dim = 1;
    spec.layers.resize(shape.window > 0 ? 2 : 1);
    spec.layers[0].mixer = attention;
    attention.window = shape.window;
    if (shape.window > 0) spec.layers[1].mixer = attention;
    constexpr auto kType = kernels::CacheType::kF32;
    runtime::KvLayout layout = runtime::kv_layout(spec, kType, kType, options.context_tokens);
    const int64_t per_sequence = runtime::pages_for(options.context_tokens);
    runtime::PageCounts n_pages{};
    n_pages[runtime::kWholeGroup] = options.pool_tokens > 0
                                        ? runtime::pages_for(options.pool_tokens)
                                        : options.max_sequences * per_sequence;
    ++n_pages[runtime::kWholeGroup];  // for the copy of a page that a text ends in
    if (layout.window > 0) {
      const int64_t each = runtime::window_pages(layout.window);
      n_pages[runtime::kWindowGroup] = options.max_sequences * (each + 2) +
                                       runtime::pages_for(options.batch_tokens) +
                                       options.kept_ends * each;
    }
    size_t bytes = 0;
    for (size_t group = 0; group < runtime::kPageGroups; ++group) {
      bytes += static_cast<size_t>(n_pages[group]) * layout.page_bytes[group];
    }
    auto buffer = kernels::make_reference_backend()->allocate(bytes);
    return {std::move(layout), std::move(*buffer), n_pages, options.max_sequences,
            options.context_tokens};
  }

  // Two values: how many tokens, and their sum.
  static runtime::RecurrentStates make_states(const runtime::ContextOptions& options,
                                              FakeShape shape) {
    runtime::StateLayout layout;
    layout.sequence_floats = shape.is_recurrent ? 2 : 0;
    layout.device_floats = {layout.sequence_floats};
    layout.layers.push_back({});
    const int64_t n = options.max_sequences + options.kept_ends;
    auto buffer = kernels::make_reference_backend()->allocate(
        static_cast<size_t>(n * layout.sequence_floats) * sizeof(float));
    runtime::RecurrentStates::Buffers buffers;
    buffers.push_back(std::move(*buffer));
    return {std::move(layout), std::move(buffers), options.max_sequences, n};
  }

  static TokenId* at(std::span<std::byte* const> pages, int64_t position) {
    return reinterpret_cast<TokenId*>(pages[static_cast<size_t>(position / kPage)]) +
           position % kPage;
  }

  // Writes the chunk's tokens to the cache and reads all tokens of the sequence from it.
  Result<std::vector<TokenId>> run(const runtime::Chunk& chunk) {
    const runtime::SequenceId id = chunk.sequence;
    const int64_t first = cache_.length(id);
    const auto n = static_cast<int64_t>(chunk.tokens.size());
    if (first + n > options_.context_tokens) {
      return make_error(ErrorCode::kContextOverflow, "the engine let a sequence overflow");
    }
    cache_.drop_unseen(id);
    const runtime::PageCounts needed = cache_.pages_needed(id, n);
    for (size_t group = 0; group < runtime::kPageGroups; ++group) {
      if (needed[group] > cache_.free_pages()[group]) {
        return make_error(ErrorCode::kContextOverflow, "the engine ran out of pages");
      }
    }
    cache_.append(id, n);
    for (size_t layer = 0; layer < (shape_.window > 0 ? 2U : 1U); ++layer) {
      const auto pages = cache_.table(id, layer).k_pages;
      for (int64_t i = 0; i < n; ++i) *at(pages, first + i) = chunk.tokens[static_cast<size_t>(i)];
    }
    std::vector<TokenId> tokens;
    const auto pages = cache_.table(id, 0).k_pages;
    for (int64_t i = 0; i < first + n; ++i) tokens.push_back(*at(pages, i));
    LLMRUN_TRY(check_window(id, first, tokens));
    LLMRUN_TRY(check_state(id, first, tokens));
    return tokens;
  }

  Result<void> check_window(runtime::SequenceId id, int64_t first,
                            const std::vector<TokenId>& tokens) {
    if (shape_.window == 0) return {};
    const auto pages = cache_.table(id, 1).k_pages;
    const auto n = static_cast<int64_t>(tokens.size());
    for (int64_t i = std::max<int64_t>(0, first - shape_.window + 1); i < n; ++i) {
      if (pages[static_cast<size_t>(i / kPage)] == nullptr ||
          *at(pages, i) != tokens[static_cast<size_t>(i)]) {
        return make_error(ErrorCode::kInternal, "the window lacks token {} of {}", i, n);
      }
    }
    return {};
  }

  Result<void> check_state(runtime::SequenceId id, int64_t first,
                           const std::vector<TokenId>& tokens) {
    if (!shape_.is_recurrent) return {};
    float* const state = states_.window(id, 0);
    float sum = 0;
    for (int64_t i = 0; i < first; ++i) sum += static_cast<float>(tokens[static_cast<size_t>(i)]);
    if (state[0] != static_cast<float>(first) || state[1] != sum) {
      return make_error(ErrorCode::kInternal, "the state is that of {} tokens, not of {}", state[0],
                        first);
    }
    for (size_t i = static_cast<size_t>(first); i < tokens.size(); ++i) {
      sum += static_cast<float>(tokens[i]);
    }
    state[0] = static_cast<float>(tokens.size());
    state[1] = sum;
    return {};
  }

  runtime::ContextOptions options_;
  int64_t n_vocab_;
  Next next_;
  FakeShape shape_;
  runtime::KvCache cache_;
  runtime::RecurrentStates states_;
  std::vector<float> logits_;
  std::unique_ptr<kernels::Backend> backend_ = kernels::make_reference_backend();
};

}  // namespace llmrun::engine
