// First come, first served; decodes before prompts.
#include "engine/scheduler.h"

#include <algorithm>

#include "base/error.h"

namespace llmrun::engine {

Scheduler::Scheduler(runtime::Context& context, int64_t n_vocab)
    : context_(context),
      cache_(context),
      finds_best_(context.head_backend().find_best_bytes(1, n_vocab) > 0),
      drawing_(static_cast<size_t>(context.backend().threads()), sampling::Workspace(n_vocab)) {}

void Scheduler::add(Sequence& sequence) {
  sequence.set_order(n_added_++);
  waiting_.push_back(&sequence);
}

void Scheduler::release_done() {
  std::erase_if(waiting_, [](const Sequence* sequence) { return sequence->done(); });
  std::erase_if(running_, [this](Sequence* sequence) {
    if (!sequence->done()) return false;
    if (store_ != nullptr) {
      cache_.extend(sequence->lease(), sequence->run_tokens());
      store_->save(sequence->lease(), sequence->run_tokens(),
                   static_cast<int64_t>(sequence->prompt().size()));
    }
    cache_.close(sequence->lease(), sequence->run_tokens());
    return true;
  });
}

// ---- admission ---------------------------------------------------------------------------------

// Whether the pool has pages for all that the sequence is to read, beside what the running ones
// still have to read, and for the next page of everybody's answer.
bool Scheduler::may_start(const Sequence& sequence, const PrefixCache::Found& found) const {
  if (running_.empty()) return true;  // one sequence always fits
  const int64_t context_tokens = context_.options().context_tokens;
  const auto pages_soon = [context_tokens](const Sequence& each) {
    const auto n_tokens = static_cast<int64_t>(each.tokens().size());
    return runtime::pages_for(std::min(context_tokens, n_tokens + kernels::kPageTokens));
  };
  int64_t needed = pages_soon(sequence) - found.n_whole_pages();
  for (const Sequence* running : running_) {
    const auto n_run = static_cast<int64_t>(running->run_tokens().size());
    needed += pages_soon(*running) - runtime::pages_for(n_run);
  }
  return needed <= cache_.available_pages() - found.n_idle_pages;
}

// Whether a running sequence is about to read more of what this one begins with than is known yet:
// waiting for it saves reading the same twice.
bool Scheduler::is_being_read(const Sequence& sequence, const PrefixCache::Found& found) const {
  return std::any_of(running_.begin(), running_.end(), [&](const Sequence* running) {
    const auto n_run = static_cast<int64_t>(running->run_tokens().size());
    const auto common = static_cast<int64_t>(common_prefix(sequence.tokens(), running->tokens()));
    const int64_t shareable = std::min(common, static_cast<int64_t>(sequence.tokens().size()) - 1) /
                              kernels::kPageTokens * kernels::kPageTokens;
    return n_run < shareable && found.n_tokens < shareable;
  });
}

Result<void> Scheduler::admit() {
  const auto n_most = static_cast<size_t>(context_.options().max_sequences);
  while (!waiting_.empty() && running_.size() < n_most) {
    Sequence& sequence = *waiting_.front();
    if (store_ != nullptr && sequence.is_new()) store_->load(cache_, sequence.tokens());
    const PrefixCache::Found found = cache_.find(sequence.tokens());
    if (!may_start(sequence, found) || is_being_read(sequence, found)) break;
    waiting_.pop_front();
    auto lease = cache_.open(found, sequence.tokens());
    if (!lease) {
      sequence.fail(lease.error());
      return tl::unexpected(lease.error());
    }
    sequence.start(std::move(*lease), found.match);
    running_.push_back(&sequence);
    // One that was shifted came before others that run already.
    std::sort(running_.begin(), running_.end(),
              [](const Sequence* a, const Sequence* b) { return a->order() < b->order(); });
  }
  return {};
}

// ---- the batch ---------------------------------------------------------------------------------

void Scheduler::share_out() {
  const runtime::ContextOptions& options = context_.options();
  int64_t room = options.batch_tokens;
  int64_t rows = options.logits_rows > 0 ? options.logits_rows : options.batch_tokens;
  n_tokens_.assign(running_.size(), 0);
  for (const bool decodes : {true, false}) {
    for (size_t i = 0; i < running_.size(); ++i) {
      const Sequence& sequence = *running_[i];
      const auto pending = static_cast<int64_t>(sequence.pending().size());
      if ((pending == 1) != decodes || room <= 0) continue;
      const auto n_run = static_cast<int64_t>(sequence.run_tokens().size());
      int64_t n =
          std::min({pending, room, PrefixCache::room_to_next_stop(sequence.lease(), n_run)});
      if (n == pending && rows-- <= 0) n = pending - 1;  // no row is left for its last token
      n_tokens_[i] = n;
      room -= n;
    }
  }
}

void Scheduler::requeue(size_t running_index) {
  Sequence* const sequence = running_[running_index];
  cache_.close(sequence->lease(), sequence->run_tokens());
  sequence->pause();
  running_.erase(running_.begin() + static_cast<ptrdiff_t>(running_index));
  const auto later = std::find_if(waiting_.begin(), waiting_.end(), [&](const Sequence* waiting) {
    return waiting->order() > sequence->order();
  });
  waiting_.insert(later, sequence);
}

void Scheduler::preempt_last() {
  requeue(running_.size() - 1);
  n_tokens_.pop_back();
  ++n_preempted_;
}

void Scheduler::add_chunk(Sequence& sequence, int64_t n_tokens) {
  const auto pending = sequence.pending();
  const auto n = static_cast<size_t>(n_tokens);
  // Only the last token of all that is pending has a successor to be drawn.
  const bool is_last = n == pending.size();
  batch_.chunks.push_back({sequence.lease().sequence, pending.first(n),
                           is_last ? runtime::WantedLogits::kLast : runtime::WantedLogits::kNone});
  if (is_last && finds_best_) {
    const sampling::Needs needs = sequence.needs();
    runtime::Chunk& chunk = batch_.chunks.back();
    chunk.best = {needs.n_best, needs.named};
    if (needs.plain) {
      chunk.draw = {&sequence.sampling(), needs.uniform, needs.named, needs.counts, needs.biases};
    }
  }
  in_batch_.push_back(&sequence);
}

Result<const runtime::Batch*> Scheduler::next() {
  release_done();
  LLMRUN_TRY(admit());
  batch_.chunks.clear();
  in_batch_.clear();
  share_out();
  runtime::PageCounts needed{};
  // In the order they came, so that whoever lacks pages takes them from one that is not in yet.
  for (size_t i = 0; i < running_.size();) {
    Sequence& sequence = *running_[i];
    if (n_tokens_[i] == 0) {
      ++i;
      continue;
    }
    const auto more = context_.cache().pages_needed(sequence.lease().sequence, n_tokens_[i]);
    runtime::PageCounts all = needed;
    for (size_t group = 0; group < runtime::kPageGroups; ++group) all[group] += more[group];
    if (!cache_.make_room(all)) {
      if (running_.size() == 1) {
        return make_error(ErrorCode::kInternal, "one sequence needs more pages than there are");
      }
      preempt_last();
      continue;
    }
    needed = all;
    add_chunk(sequence, n_tokens_[i]);
    ++i;
  }
  return &batch_;
}

void Scheduler::accept(const runtime::Logits& logits) {
  draw_.clear();
  for (size_t i = 0; i < in_batch_.size(); ++i) {
    const runtime::Chunk& chunk = batch_.chunks[i];
    Sequence& sequence = *in_batch_[i];
    sequence.advance(chunk.tokens.size());
    cache_.extend(sequence.lease(), sequence.run_tokens());
    if (chunk.logits != runtime::WantedLogits::kNone) draw_.push_back(&sequence);
  }
  const auto n_rows = std::min(logits.n_rows, static_cast<int64_t>(draw_.size()));
  if (logits.drawn) {
    for (int64_t row = 0; row < n_rows; ++row) {
      draw_[static_cast<size_t>(row)]->take(logits.row_ids(row)[0], logits.row(row)[0]);
    }
  } else {
    context_.backend().share(n_rows, [&](int64_t row, int thread) {
      draw_[static_cast<size_t>(row)]->draw(logits.row_ids(row), logits.row(row),
                                            drawing_[static_cast<size_t>(thread)]);
    });
  }
  for (int64_t row = 0; row < n_rows; ++row) draw_[static_cast<size_t>(row)]->accept();
  for (size_t i = running_.size(); i-- > 0;) {
    if (!running_[i]->must_shift()) continue;
    Sequence* const sequence = running_[i];
    requeue(i);
    sequence->shift();
  }
  release_done();
}

void Scheduler::fail(const Error& error) {
  for (Sequence* sequence : running_) {
    sequence->fail(error);
    cache_.discard(sequence->lease());
  }
  running_.clear();
  cache_.clear();  // what the caches hold is no longer certain
}

}  // namespace llmrun::engine
