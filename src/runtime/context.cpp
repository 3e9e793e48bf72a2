// Checks a batch, makes room in the cache and runs the forward pass. Nothing is allocated after
// make_context().
#include "runtime/context.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <optional>
#include <vector>

#include "base/error.h"
#include "base/fast_hash.h"
#include "base/lockstep_threads.h"
#include "runtime/best_logits.h"

namespace llmrun::runtime {
namespace {

struct Memory {
  std::vector<std::unique_ptr<kernels::Buffer>> arenas;  // of each device
  std::vector<std::unique_ptr<kernels::Buffer>> hosts;   // of each share
  std::unique_ptr<kernels::Buffer> output, meeting;
};

// The angles for a context of that length.
std::vector<const float*> frequencies_for(const LoadedModel& model, const PositionTables& tables,
                                          int64_t context_tokens) {
  std::vector<const float*> chosen = tables.frequencies;
  for (size_t i = 0; i < chosen.size(); ++i) {
    if (context_tokens > model.spec.ropes[i].original_context)
      chosen[i] = tables.long_frequencies[i];
  }
  return chosen;
}

class ContextImpl final : public Context {
 public:
  ContextImpl(const LoadedModel& model, const ContextPlan& plan, Memory memory, KvCache cache,
              RecurrentStates states)
      : model_(model),
        options_(plan.options),
        memory_(std::move(memory)),
        cache_(std::move(cache)),
        states_(std::move(states)),
        state_floats_(plan.state.sequence_floats) {
    const size_t n_devices = model_.placement.devices.size();
    for (size_t i = 0; i < n_devices; ++i) {
      frequencies_.push_back(frequencies_for(model_, model_.tables_of(i), options_.context_tokens));
    }
    if (model_.shared()) {
      share_threads_.emplace(n_devices);
      gatherer_ = model_.placement.gatherer;
      if (gatherer_ == nullptr) {
        gatherer_ = &host_gatherer_.emplace(model_.placement.devices,
                                            reinterpret_cast<float*>(memory_.meeting->data()),
                                            options_.batch_tokens * model_.spec.d_model);
      }
    } else if (n_devices > 1) {
      std::vector<TurnPart> parts;
      for (size_t i = 0; i < frequencies_.size(); ++i) {
        parts.push_back({memory_.arenas[i]->data(), frequencies_[i], model_.tables_of(i).slopes});
      }
      turns_.emplace(model_.placement, std::move(parts));
    }
    chunks_.reserve(static_cast<size_t>(options_.max_sequences));
  }

  [[nodiscard]] const ContextOptions& options() const override { return options_; }
  [[nodiscard]] kernels::Backend& backend() override { return *model_.placement.devices[0]; }
  [[nodiscard]] kernels::Backend& head_backend() override {
    return model_.placement.backend_of(static_cast<int64_t>(model_.spec.layers.size()));
  }
  Result<SequenceId> open_sequence() override {
    LLMRUN_ASSIGN(const SequenceId id, cache_.open());
    states_.clear(id);
    return id;
  }
  void close_sequence(SequenceId sequence) override { cache_.close(sequence); }
  [[nodiscard]] int64_t length(SequenceId sequence) const override {
    return cache_.length(sequence);
  }
  [[nodiscard]] int64_t free_tokens() const override { return cache_.free_tokens(); }
  [[nodiscard]] std::string fingerprint() const override;
  [[nodiscard]] KvCache& cache() override { return cache_; }
  [[nodiscard]] RecurrentStates& states() override { return states_; }

  [[nodiscard]] int64_t restorable(SequenceId sequence, int64_t n_tokens) const override {
    const int64_t length = cache_.length(sequence);
    if (n_tokens >= length) return length;
    return states_.any() ? 0 : cache_.restorable(sequence, n_tokens);
  }
  Result<void> truncate(SequenceId sequence, int64_t n_tokens) override;
  Result<SequenceId> fork_sequence(SequenceId parent, int64_t n_tokens) override;
  Result<Logits> forward(const Batch& batch) override;
  Result<Embeddings> embed(std::span<const EmbedInput> texts) override;

 private:
  [[nodiscard]] Result<void> check_open(SequenceId sequence) const {
    if (cache_.is_open(sequence)) return {};
    return make_error(ErrorCode::kUsage, "there is no open sequence {}", sequence);
  }
  [[nodiscard]] Result<void> check_chunk(const Chunk& chunk) const;
  [[nodiscard]] Result<void> check_room(const Batch& batch) const;
  // Fills chunks_; returns the number of logits rows.
  Result<int64_t> lay_out(const Batch& batch);
  // Runs `work(pass)` on what lay_out() laid out. `texts` is empty, or beside the chunks.
  using Work = std::function<void(Pass& pass)>;
  Result<void> run(const Batch& batch, std::span<const EmbedInput> texts, const Work& work);
  // The pass of one share. The cache has room for the batch.
  Result<void> run_share(size_t share, const Batch& batch, std::span<const EmbedInput> texts,
                         const Work& work);
  Result<void> finish(size_t share);
  Result<Embeddings> embed_chunks(const Batch& batch, std::span<const EmbedInput> texts);
  [[nodiscard]] float* output() const { return reinterpret_cast<float*>(memory_.output->data()); }

  const LoadedModel& model_;
  ContextOptions options_;
  Memory memory_;
  KvCache cache_;
  RecurrentStates states_;
  int64_t state_floats_;
  std::vector<std::vector<const float*>> frequencies_;  // of each device
  std::optional<DeviceTurns> turns_;                    // with more than one
  // Of devices that share the layers: a thread each, and where they meet.
  std::optional<LockstepThreads> share_threads_;
  std::optional<kernels::HostGatherer> host_gatherer_;
  kernels::Gatherer* gatherer_ = nullptr;
  std::vector<PassChunk> chunks_;
};

// Stands for the values of a table, which lies in the memory of a device.
std::string hash_text(const PositionTables& tables, const float* table, size_t n) {
  std::vector<float> values(n);
  const auto at = reinterpret_cast<const std::byte*>(table) - tables.buffer->data();
  const auto read = tables.buffer->read(values.data(), static_cast<size_t>(at), n * sizeof(float));
  return read ? fmt::format("{:x}", fast_hash(std::as_bytes(std::span(values)))) : "unread";
}

std::string ContextImpl::fingerprint() const {
  std::string words =
      fmt::format("k{} v{}", static_cast<int>(options_.k_type), static_cast<int>(options_.v_type));
  for (const size_t bytes : cache_.layout().page_bytes) words += fmt::format(" p{}", bytes);
  for (const KvLayout::Layer& layer : cache_.layout().layers) {
    words += fmt::format(" {}:{}:{}:{}", static_cast<int>(layer.group), layer.device,
                         layer.k_offset, layer.v_offset);
  }
  words += fmt::format(" s{}", state_floats_);
  for (size_t i = 0; i < frequencies_[0].size(); ++i) {
    const Rope& rope = model_.spec.ropes[i];
    const auto n = static_cast<size_t>(rope.n_dims / 2);
    words += fmt::format(" r{}:{}", hash_text(model_.tables_of(0), frequencies_[0][i], n),
                         rope.magnitude);
  }
  return words;
}

Result<void> ContextImpl::truncate(SequenceId sequence, int64_t n_tokens) {
  LLMRUN_TRY(check_open(sequence));
  const int64_t length = cache_.length(sequence);
  if (n_tokens < 0 || n_tokens > length) {
    return make_error(ErrorCode::kUsage, "cannot truncate a sequence of {} tokens to {}", length,
                      n_tokens);
  }
  const int64_t restorable_tokens = restorable(sequence, n_tokens);
  if (restorable_tokens < n_tokens) {
    return make_error(ErrorCode::kUnsupported,
                      "a sequence of {} tokens cannot go back to token {}: {}; truncate to {} and "
                      "run the tokens from there on again",
                      length, n_tokens,
                      states_.any() ? "its recurrent state is that of its end"
                                    : "its sliding windows have left that behind",
                      restorable_tokens);
  }
  if (n_tokens < length) states_.clear(sequence);
  cache_.truncate(sequence, n_tokens);
  return {};
}

Result<SequenceId> ContextImpl::fork_sequence(SequenceId parent, int64_t n_tokens) {
  LLMRUN_TRY(check_open(parent));
  int64_t shared = restorable(parent, n_tokens);
  if (!states_.any()) {
    shared = restorable(parent, shared / kernels::kPageTokens * kernels::kPageTokens);
  }
  LLMRUN_ASSIGN(const SequenceId child, cache_.fork(parent, shared));
  if (shared > 0) {
    states_.copy(parent, child);
  } else {
    states_.clear(child);
  }
  return child;
}

int64_t wanted_rows(const Chunk& chunk) {
  switch (chunk.logits) {
    case WantedLogits::kNone:
      return 0;
    case WantedLogits::kLast:
      return 1;
    case WantedLogits::kAll:
      return static_cast<int64_t>(chunk.tokens.size());
  }
  return 0;
}

Result<void> ContextImpl::check_chunk(const Chunk& chunk) const {
  LLMRUN_TRY(check_open(chunk.sequence));
  if (chunk.tokens.empty()) {
    return make_error(ErrorCode::kUsage, "sequence {} has an empty chunk", chunk.sequence);
  }
  for (const TokenId id : chunk.tokens) {
    if (id < 0 || id >= model_.spec.n_vocab) {
      return make_error(ErrorCode::kUsage, "token {} is not in the vocabulary of {} tokens", id,
                        model_.spec.n_vocab);
    }
  }
  if (!model_.spec.causal && cache_.length(chunk.sequence) > 0) {
    return make_error(ErrorCode::kUsage,
                      "{} models see their whole text at once, so sequence {} cannot go on after "
                      "its {} tokens; give the whole text in one chunk of a new sequence",
                      model_.spec.architecture, chunk.sequence, cache_.length(chunk.sequence));
  }
  const auto n_tokens = static_cast<int64_t>(chunk.tokens.size());
  const int64_t available = options_.context_tokens - cache_.length(chunk.sequence);
  if (n_tokens > available) {
    return make_error(ErrorCode::kContextOverflow,
                      "{} more tokens do not fit: the context holds {} and {} of them are taken; "
                      "shorten the input, or open a context of at least {} tokens",
                      n_tokens, options_.context_tokens, cache_.length(chunk.sequence),
                      n_tokens + cache_.length(chunk.sequence));
  }
  return {};
}

Result<void> ContextImpl::check_room(const Batch& batch) const {
  PageCounts pages{};
  for (const Chunk& chunk : batch.chunks) {
    const PageCounts more =
        cache_.pages_needed(chunk.sequence, static_cast<int64_t>(chunk.tokens.size()));
    for (size_t group = 0; group < kPageGroups; ++group) pages[group] += more[group];
  }
  const PageCounts free = cache_.free_pages();
  for (size_t group = 0; group < kPageGroups; ++group) {
    if (pages[group] <= free[group]) continue;
    return make_error(
        ErrorCode::kContextOverflow,
        "the batch needs {} pages of {} tokens and {} are free; close a sequence first",
        pages[group], kernels::kPageTokens, free[group]);
  }
  return {};
}

Result<int64_t> ContextImpl::lay_out(const Batch& batch) {
  chunks_.clear();
  int64_t n_rows = 0, n_logits = 0;
  for (const Chunk& chunk : batch.chunks) {
    LLMRUN_TRY(check_chunk(chunk));
    const bool twice = std::any_of(chunks_.begin(), chunks_.end(), [&](const PassChunk& earlier) {
      return earlier.sequence == chunk.sequence;
    });
    if (twice) {
      return make_error(ErrorCode::kUsage, "sequence {} is in the batch twice", chunk.sequence);
    }
    const auto n_tokens = static_cast<int64_t>(chunk.tokens.size());
    chunks_.push_back({.sequence = chunk.sequence,
                       .first_row = n_rows,
                       .n_rows = n_tokens,
                       .first_position = cache_.length(chunk.sequence),
                       .first_logits_row = n_logits,
                       .n_logits_rows = wanted_rows(chunk)});
    n_rows += n_tokens;
    n_logits += wanted_rows(chunk);
    if (n_rows > options_.batch_tokens) {
      return make_error(ErrorCode::kUsage, "a batch has at most {} tokens in this context",
                        options_.batch_tokens);
    }
  }
  if (n_rows == 0) return make_error(ErrorCode::kUsage, "the batch is empty");
  if (n_logits > options_.logits_rows) {
    return make_error(ErrorCode::kUsage,
                      "the batch wants {} rows of logits and the context was opened for {} "
                      "(logits_rows)",
                      n_logits, options_.logits_rows);
  }
  return n_logits;
}

// The output of some models covers only the last tokens of the vocabulary.
void fill_missing(float* logits, int64_t n_rows, const ModelSpec& spec) {
  if (spec.head.first_token == 0) return;
  for (int64_t i = 0; i < n_rows; ++i) {
    std::fill_n(logits + i * spec.n_vocab, spec.head.first_token,
                -std::numeric_limits<float>::infinity());
  }
}

Result<void> ContextImpl::run(const Batch& batch, std::span<const EmbedInput> texts,
                              const Work& work) {
  for (const Chunk& chunk : batch.chunks) cache_.drop_unseen(chunk.sequence);
  LLMRUN_TRY(check_room(batch));
  for (const PassChunk& chunk : chunks_) cache_.append(chunk.sequence, chunk.n_rows);
  if (share_threads_) {
    std::vector<Result<void>> results(model_.shares.size());
    share_threads_->run(
        [&](size_t share) { results[share] = run_share(share, batch, texts, work); });
    for (Result<void>& result : results) LLMRUN_TRY(std::move(result));
  } else {
    LLMRUN_TRY(run_share(0, batch, texts, work));
  }
  for (const Chunk& chunk : batch.chunks) states_.remember(chunk.sequence, chunk.tokens);
  return {};
}

Result<void> ContextImpl::finish(size_t share) {
  if (gatherer_ != nullptr) return gatherer_->finish(share);
  return turns_ ? turns_->end() : model_.placement.devices[0]->finish();
}

Result<void> ContextImpl::run_share(size_t share, const Batch& batch,
                                    std::span<const EmbedInput> texts, const Work& work) {
  const int64_t n_tokens = chunks_.back().first_row + chunks_.back().n_rows;
  const ModelShare& model = model_.shares[share];
  // The device of the embedding begins.
  const Placement& placement = model_.placement;
  const size_t first = model_.shared() ? share : placement.of(-1);
  Arena arena(memory_.arenas[first]->data(), memory_.arenas[first]->size());
  Arena host(memory_.hosts[share]->data(), memory_.hosts[share]->size());
  auto* const ids = host.array<int32_t>(n_tokens);
  auto* const positions = host.array<int32_t>(n_tokens);
  auto* const token_types = host.array<int32_t>(n_tokens);
  const TensorDecl& types = model_.spec.embedding.token_types;
  const int32_t second = types.declared() && types.shape[1] > 1 ? 1 : 0;
  for (size_t i = 0; i < chunks_.size(); ++i) {
    const PassChunk& chunk = chunks_[i];
    std::copy(batch.chunks[i].tokens.begin(), batch.chunks[i].tokens.end(), ids + chunk.first_row);
    for (int64_t t = 0; t < chunk.n_rows; ++t) {
      positions[chunk.first_row + t] = static_cast<int32_t>(chunk.first_position + t);
      token_types[chunk.first_row + t] = !texts.empty() && t >= texts[i].second_text ? second : 0;
    }
  }

  Pass pass{.spec = model.spec,
            .weights = model.weights,
            .frequencies = frequencies_[first],
            .slopes = model_.tables_of(first).slopes,
            .ops = turns_ ? turns_->ops() : placement.devices[share]->ops(),
            .arena = arena,
            .host = host,
            .cache = &cache_,
            .states = &states_,
            .turns = turns_ ? &*turns_ : nullptr,
            .share = share,
            .n_shares = model_.shares.size(),
            .gatherer = gatherer_,
            .k_type = options_.k_type,
            .v_type = options_.v_type,
            .n_tokens = n_tokens,
            .chunks = chunks_,
            .ids = {ids, static_cast<size_t>(n_tokens)},
            .positions = {positions, static_cast<size_t>(n_tokens)},
            .token_types = {token_types, static_cast<size_t>(n_tokens)}};
  if (turns_) {
    turns_->begin();
  } else {
    placement.devices[share]->begin_step();
  }
  work(pass);
  LLMRUN_TRY(finish(share));
  if (!arena.fits() || !host.fits()) {
    return make_error(ErrorCode::kInternal, "a pass of {} tokens took more memory than planned",
                      n_tokens);
  }
  return {};
}

Result<Logits> ContextImpl::forward(const Batch& batch) {
  if (options_.pooling) {
    return make_error(ErrorCode::kUsage, "this context was opened for vectors and has no logits");
  }
  LLMRUN_ASSIGN(const int64_t n_logits, lay_out(batch));
  const int64_t n_vocab = model_.spec.n_vocab;
  // Devices that share the vocabulary write their parts of the rows themselves.
  const BestRows best =
      model_.shared() ? BestRows{} : best_rows(batch, model_.spec, head_backend());
  if (best.n_best > 0) {
    Logits logits;
    LLMRUN_TRY(run(batch, {}, [&](Pass& pass) {
      logits = run_best(pass, head_backend(), batch, best, n_logits, output());
    }));
    return logits;
  }
  LLMRUN_TRY(run(batch, {}, [&](Pass& pass) {
    run_forward(pass, {output(), n_logits, n_vocab, n_vocab});
  }));
  fill_missing(output(), n_logits, model_.spec);
  return Logits{output(), n_logits, n_vocab};
}

Result<Embeddings> ContextImpl::embed(std::span<const EmbedInput> texts) {
  if (!options_.pooling) {
    return make_error(ErrorCode::kUsage, "this context was opened for logits and has no vectors");
  }
  Batch batch;
  Result<Embeddings> rows;
  for (const EmbedInput& text : texts) {
    const auto sequence = open_sequence();
    if (!sequence) {
      rows = tl::unexpected(sequence.error());
      break;
    }
    batch.chunks.push_back({*sequence, text.tokens, WantedLogits::kNone});
  }
  if (rows) rows = embed_chunks(batch, texts);
  for (const Chunk& chunk : batch.chunks) close_sequence(chunk.sequence);
  return rows;
}

Result<Embeddings> ContextImpl::embed_chunks(const Batch& batch,
                                             std::span<const EmbedInput> texts) {
  LLMRUN_TRY(lay_out(batch));
  const int64_t width = pooled_width(model_.spec, *options_.pooling);
  const int64_t n_rows =
      options_.pooling == Pooling::kNone ? batch.n_tokens() : static_cast<int64_t>(texts.size());
  LLMRUN_TRY(run(batch, texts, [&](Pass& pass) {
    if (pass.share > 0) {  // what follows the layers is the first one's
      run_layers(pass);
    } else {
      run_pooled(pass, *options_.pooling, {output(), n_rows, width, width});
    }
  }));
  return Embeddings{output(), n_rows, width};
}

}  // namespace

Result<std::unique_ptr<Context>> make_context(const LoadedModel& model, const ContextPlan& plan) {
  const auto taken = [&](Result<std::unique_ptr<kernels::Buffer>> buffer) {
    if (buffer && plan.options.commit) (*buffer)->commit();
    return buffer;
  };
  Memory memory;
  KvCache::Buffers kv;
  RecurrentStates::Buffers states;
  for (size_t i = 0; i < plan.devices.size(); ++i) {
    kernels::Backend& backend = *model.placement.devices[i];
    const DeviceBytes& bytes = plan.devices[i];
    LLMRUN_ASSIGN(auto own_kv, taken(backend.allocate(bytes.kv)));
    LLMRUN_ASSIGN(auto own_states, taken(backend.allocate(bytes.state)));
    LLMRUN_ASSIGN(auto arena, taken(backend.allocate(plan.arena_bytes)));
    kv.push_back(std::move(own_kv));
    states.push_back(std::move(own_states));
    memory.arenas.push_back(std::move(arena));
    LLMRUN_TRY(backend.reserve(plan.max_rows, plan.max_width));
  }
  kernels::Backend& shared = model.placement.for_shared();
  for (size_t i = 0; i < model.shares.size(); ++i) {
    LLMRUN_ASSIGN(auto host, taken(shared.allocate_shared(plan.host_bytes)));
    memory.hosts.push_back(std::move(host));
  }
  LLMRUN_ASSIGN(memory.output, taken(shared.allocate_shared(plan.output_bytes)));
  LLMRUN_ASSIGN(memory.meeting, taken(shared.allocate_shared(plan.gather_bytes)));
  KvCache cache(plan.kv, std::move(kv), plan.n_pages, plan.options.max_sequences,
                plan.options.context_tokens);
  return std::make_unique<ContextImpl>(
      model, plan, std::move(memory), std::move(cache),
      RecurrentStates(plan.state, std::move(states), plan.options.max_sequences, plan.n_states));
}

}  // namespace llmrun::runtime
