// One step: schedule, run the model, accept.
#include "engine/engine.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace llmrun::engine {

Engine::Engine(runtime::Context& context, const Vocabulary& vocabulary)
    : context_(context), vocabulary_(vocabulary), scheduler_(context, vocabulary.n_vocab) {}

void Engine::keep_on_disk(PrefixStoreOptions options) {
  store_.emplace(context_, std::move(options));
  scheduler_.set_store(&*store_);
}

Result<Sequence*> Engine::submit(Request request) {
  LLMRUN_ASSIGN(auto sequence, Sequence::create(std::move(request), vocabulary_,
                                                context_.options().context_tokens));
  sequences_.push_back(std::move(sequence));
  scheduler_.add(*sequences_.back());
  return sequences_.back().get();
}

Result<bool> Engine::step() {
  LLMRUN_ASSIGN(const runtime::Batch* batch, scheduler_.next());
  if (batch->chunks.empty()) return false;
  const auto logits = context_.forward(*batch);
  if (!logits) {
    scheduler_.fail(logits.error());
    return tl::unexpected(logits.error());
  }
  scheduler_.accept(*logits);
  return true;
}

Result<Generation> Engine::take(Sequence* sequence) {
  const auto found = std::find_if(sequences_.begin(), sequences_.end(),
                                  [&](const auto& owned) { return owned.get() == sequence; });
  if (found == sequences_.end() || !sequence->done()) {
    return make_error(ErrorCode::kInternal, "The engine has no such finished answer.");
  }
  scheduler_.release_done();  // it must not look at this sequence again
  auto generation = sequence->finish();
  sequences_.erase(found);
  return generation;
}

Result<Generation> Engine::run(Request request, const std::atomic<bool>& cancelled) {
  LLMRUN_ASSIGN(Sequence * sequence, submit(std::move(request)));
  while (!sequence->done()) {
    if (cancelled.load(std::memory_order_relaxed)) {
      sequence->cancel();
      break;
    }
    const auto more = step();
    if (!more) sequence->fail(more.error());
    if (more && !*more) break;
  }
  return take(sequence);
}

Result<void> Engine::logits(std::span<const TokenId> tokens, const LogitsCallback& on_rows,
                            const std::atomic<bool>& cancelled) {
  const runtime::ContextOptions& options = context_.options();
  const auto n_tokens = static_cast<int64_t>(tokens.size());
  if (n_tokens > options.context_tokens) {
    return make_error(ErrorCode::kContextOverflow,
                      "The text needs {} tokens, but the context has only {}. Open a larger "
                      "context, or shorten the text.",
                      n_tokens, options.context_tokens);
  }
  clear();
  LLMRUN_ASSIGN(const runtime::SequenceId sequence, context_.open_sequence());
  const int64_t chunk = std::max<int64_t>(1, std::min(options.batch_tokens, options.logits_rows));
  Result<void> result;
  for (int64_t first = 0; result && first < n_tokens; first += chunk) {
    if (cancelled.load(std::memory_order_relaxed)) {
      result = make_error(ErrorCode::kInterrupted, "Interrupted at token {}.", first);
      break;
    }
    const int64_t n = std::min(chunk, n_tokens - first);
    runtime::Batch batch;
    batch.chunks.push_back({sequence,
                            tokens.subspan(static_cast<size_t>(first), static_cast<size_t>(n)),
                            runtime::WantedLogits::kAll});
    const auto rows = context_.forward(batch);
    if (!rows) {
      result = tl::unexpected(rows.error());
    } else {
      result = on_rows(first, rows->n_rows,
                       {rows->data, static_cast<size_t>(rows->n_rows * rows->n_vocab)});
    }
  }
  context_.close_sequence(sequence);
  return result;
}

}  // namespace llmrun::engine
