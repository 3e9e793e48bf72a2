// First come, first served; decodes before prompts.
#include "engine/scheduler.h"

#include <algorithm>

#include "base/error.h"

namespace llmrun::engine {

void Scheduler::release_done() {
  std::erase_if(waiting_, [](const Sequence* sequence) { return sequence->done(); });
  std::erase_if(running_, [this](Sequence* sequence) {
    if (!sequence->done()) return false;
    slots_.release(*sequence->slot());
    return true;
  });
}

void Scheduler::add_chunk(Sequence& sequence, int64_t room) {
  const auto pending = sequence.pending();
  const size_t n = std::min(pending.size(), static_cast<size_t>(room));
  // Only the last token of all that is pending has a successor to be drawn.
  const bool is_last = n == pending.size();
  batch_.chunks.push_back({sequence.slot()->sequence, pending.first(n),
                           is_last ? runtime::WantedLogits::kLast : runtime::WantedLogits::kNone});
  in_batch_.push_back(&sequence);
}

Result<const runtime::Batch*> Scheduler::next() {
  release_done();
  while (!waiting_.empty() && slots_.any_free()) {
    Sequence& sequence = *waiting_.front();
    waiting_.pop_front();
    auto slot = slots_.acquire(sequence.prompt());
    if (!slot) {
      sequence.fail(slot.error());
      return tl::unexpected(slot.error());
    }
    sequence.start(**slot);
    running_.push_back(&sequence);
  }
  batch_.chunks.clear();
  in_batch_.clear();
  int64_t room = context_.options().batch_tokens;
  for (const bool decodes : {true, false}) {
    for (Sequence* sequence : running_) {
      if (room <= 0) break;
      if ((sequence->pending().size() == 1) != decodes) continue;
      add_chunk(*sequence, room);
      room -= static_cast<int64_t>(batch_.chunks.back().tokens.size());
    }
  }
  return &batch_;
}

void Scheduler::accept(const runtime::Logits& logits) {
  int64_t row = 0;
  for (size_t i = 0; i < in_batch_.size(); ++i) {
    const runtime::Chunk& chunk = batch_.chunks[i];
    in_batch_[i]->advance(chunk.tokens.size());
    if (chunk.logits == runtime::WantedLogits::kNone) continue;
    if (row < logits.n_rows) in_batch_[i]->accept(logits.row(row));
    ++row;
  }
  release_done();
}

void Scheduler::fail(const Error& error) {
  for (Sequence* sequence : running_) sequence->fail(error);
  release_done();
  slots_.clear();  // what the caches hold is no longer certain
}

}  // namespace llmrun::engine
