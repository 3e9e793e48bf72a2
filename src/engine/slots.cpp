// Chooses slots by their common prefix with a prompt.
#include "engine/slots.h"

#include <algorithm>

#include "base/error.h"

namespace llmrun::engine {

size_t common_prefix(std::span<const TokenId> a, std::span<const TokenId> b) {
  const size_t n = std::min(a.size(), b.size());
  return static_cast<size_t>(
      std::mismatch(a.begin(), a.begin() + static_cast<ptrdiff_t>(n), b.begin()).first - a.begin());
}

Slots::Slots(runtime::Context& context)
    : context_(context), slots_(static_cast<size_t>(context.options().max_sequences)) {
  // Nothing large is allocated once a session is ready.
  for (Slot& slot : slots_) {
    slot.tokens.reserve(static_cast<size_t>(context.options().context_tokens));
  }
}

bool Slots::any_free() const {
  return std::any_of(slots_.begin(), slots_.end(), [](const Slot& slot) { return !slot.busy; });
}

Result<Slot*> Slots::acquire(std::span<const TokenId> prompt) {
  Slot* best = nullptr;
  size_t best_kept = 0;
  for (Slot& slot : slots_) {
    if (slot.busy) continue;
    const size_t kept = usable_prefix(slot, prompt);
    // Without anything in common the one unused for longest is given up.
    const bool is_better = best == nullptr || kept > best_kept ||
                           (kept == best_kept && slot.last_used < best->last_used);
    if (!is_better) continue;
    best = &slot;
    best_kept = kept;
  }
  if (best == nullptr) {
    return make_error(ErrorCode::kUsage, "All {} sequences of the context are in use.",
                      slots_.size());
  }
  LLMRUN_TRY(keep_prefix(*best, best_kept));
  best->busy = true;
  best->last_used = ++clock_;
  return best;
}

size_t Slots::usable_prefix(const Slot& slot, std::span<const TokenId> prompt) const {
  if (!slot.open || prompt.empty()) return 0;
  const size_t common = std::min(common_prefix(slot.tokens, prompt), prompt.size() - 1);
  return static_cast<size_t>(context_.restorable(slot.sequence, static_cast<int64_t>(common)));
}

Result<void> Slots::keep_prefix(Slot& slot, size_t n_tokens) {
  if (slot.open) {
    LLMRUN_TRY(context_.truncate(slot.sequence, static_cast<int64_t>(n_tokens)));
  } else {
    LLMRUN_ASSIGN(slot.sequence, context_.open_sequence());
    slot.open = true;
  }
  slot.tokens.resize(n_tokens);
  return {};
}

void Slots::release(Slot& slot) { slot.busy = false; }

void Slots::clear() {
  for (Slot& slot : slots_) {
    if (slot.busy || !slot.open) continue;
    context_.close_sequence(slot.sequence);
    slot.open = false;
    slot.tokens.clear();
  }
}

int64_t Slots::held_tokens() const {
  int64_t n = 0;
  for (const Slot& slot : slots_) n += static_cast<int64_t>(slot.tokens.size());
  return n;
}

}  // namespace llmrun::engine
