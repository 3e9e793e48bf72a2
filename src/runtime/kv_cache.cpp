// Page bookkeeping of the KV cache. Nothing is allocated after construction.
#include "runtime/kv_cache.h"

#include <algorithm>

#include "base/error.h"

namespace llmrun::runtime {

using kernels::kPageTokens;

namespace {

KvCache::Buffers only(std::unique_ptr<kernels::Buffer> buffer) {
  KvCache::Buffers buffers;
  buffers.push_back(std::move(buffer));
  return buffers;
}

}  // namespace

KvCache::KvCache(KvLayout layout, std::unique_ptr<kernels::Buffer> buffer,
                 const PageCounts& n_pages, int64_t max_sequences, int64_t context_tokens)
    : KvCache(std::move(layout), only(std::move(buffer)), n_pages, max_sequences, context_tokens) {}

KvCache::KvCache(KvLayout layout, Buffers buffers, const PageCounts& n_pages, int64_t max_sequences,
                 int64_t context_tokens)
    : layout_(std::move(layout)),
      buffers_(std::move(buffers)),
      n_pages_(n_pages),
      context_tokens_(context_tokens) {
  for (size_t device = 0; device < buffers_.size(); ++device) {
    std::byte* start = buffers_[device]->data();
    for (size_t group = 0; group < n_groups(); ++group) {
      pools_[group].starts.push_back(start);
      start += static_cast<size_t>(n_pages[group]) * layout_.device_bytes[device][group];
    }
  }
  for (size_t group = 0; group < n_groups(); ++group) {
    Pool& pool = pools_[group];
    pool.free.reserve(static_cast<size_t>(n_pages[group]));
    for (int64_t i = n_pages[group] - 1; i >= 0; --i) pool.free.push_back(static_cast<PageId>(i));
    pool.owners.assign(static_cast<size_t>(n_pages[group]), 0);
  }
  const auto pages_per_sequence = static_cast<size_t>(pages_for(context_tokens));
  sequences_.resize(static_cast<size_t>(max_sequences));
  for (Sequence& sequence : sequences_) {
    for (size_t group = 0; group < n_groups(); ++group) {
      sequence.pages[group].reserve(pages_per_sequence);
    }
  }
  table_pages_ = pages_per_sequence;
  n_tables_ = std::min(kTables, static_cast<size_t>(max_sequences));
  k_pages_.resize(layout_.n_shares * n_tables_ * table_pages_);
  v_pages_.resize(layout_.n_shares * n_tables_ * table_pages_);
}

Result<SequenceId> KvCache::open() {
  const auto slot = std::find_if(sequences_.begin(), sequences_.end(),
                                 [](const Sequence& sequence) { return !sequence.open; });
  if (slot == sequences_.end()) {
    return make_error(ErrorCode::kUsage,
                      "all {} sequences of this context are in use; close one, or open the "
                      "context with a larger max_sequences",
                      sequences_.size());
  }
  slot->open = true;
  return static_cast<SequenceId>(slot - sequences_.begin());
}

void KvCache::close(SequenceId id) {
  if (!is_open(id)) return;
  truncate(id, 0);
  sequences_[static_cast<size_t>(id)].open = false;
}

bool KvCache::is_open(SequenceId id) const {
  return id >= 0 && static_cast<size_t>(id) < sequences_.size() &&
         sequences_[static_cast<size_t>(id)].open;
}

int64_t KvCache::length(SequenceId id) const {
  return is_open(id) ? sequences_[static_cast<size_t>(id)].length : 0;
}

int64_t KvCache::first_window_page(int64_t n_tokens) const {
  return std::max<int64_t>(0, n_tokens - layout_.window + 1) / kPageTokens;
}

int64_t KvCache::restorable(SequenceId id, int64_t n_tokens) const {
  if (!is_open(id)) return 0;
  const Sequence& sequence = sequences_[static_cast<size_t>(id)];
  if (n_tokens >= sequence.length) return sequence.length;
  if (n_tokens <= 0) return 0;
  return has_window() && first_window_page(n_tokens) < sequence.first_held ? 0 : n_tokens;
}

void KvCache::truncate(SequenceId id, int64_t n_tokens) {
  if (!is_open(id)) return;
  Sequence& sequence = sequences_[static_cast<size_t>(id)];
  sequence.length = std::clamp(n_tokens, int64_t{0}, sequence.length);
  const auto keep = static_cast<size_t>(pages_for(sequence.length));
  for (size_t group = 0; group < n_groups(); ++group) {
    std::vector<PageId>& pages = sequence.pages[group];
    while (pages.size() > keep) {
      release_page(group, pages.back());
      pages.pop_back();
    }
  }
  if (sequence.length == 0) sequence.first_held = 0;
}

Result<SequenceId> KvCache::fork(SequenceId parent, int64_t n_tokens) {
  LLMRUN_ASSIGN(const SequenceId id, open());
  const Sequence& from = sequences_[static_cast<size_t>(parent)];
  const int64_t length = std::clamp(n_tokens, int64_t{0}, from.length);
  Sequence& to = sequences_[static_cast<size_t>(id)];
  to.length = length;
  to.first_held = length == 0 ? 0 : from.first_held;
  const auto whole = static_cast<size_t>(length / kPageTokens);
  for (size_t group = 0; group < n_groups(); ++group) {
    for (size_t i = 0; i < whole; ++i) {
      const PageId shared = from.pages[group][i];
      if (shared != kNoPage) ++pools_[group].owners[static_cast<size_t>(shared)];
      to.pages[group].push_back(shared);
    }
    if (length % kPageTokens != 0) {
      to.pages[group].push_back(copy_page(group, from.pages[group][whole]));
    }
  }
  return id;
}

int64_t KvCache::free_tokens() const {
  int64_t in_pages = free_pages()[kWholeGroup] * kPageTokens;
  int64_t in_sequences = 0;
  for (const Sequence& sequence : sequences_) {
    in_pages +=
        static_cast<int64_t>(sequence.pages[kWholeGroup].size()) * kPageTokens - sequence.length;
    in_sequences += context_tokens_ - sequence.length;
  }
  return std::min(in_pages, in_sequences);
}

PageCounts KvCache::free_pages() const {
  PageCounts counts{};
  for (size_t group = 0; group < n_groups(); ++group) {
    counts[group] = static_cast<int64_t>(pools_[group].free.size());
  }
  return counts;
}

PageCounts KvCache::pages_needed(SequenceId id, int64_t n_tokens) const {
  const Sequence& sequence = sequences_[static_cast<size_t>(id)];
  PageCounts counts{};
  for (size_t group = 0; group < n_groups(); ++group) {
    counts[group] = pages_for(sequence.length + n_tokens) -
                    static_cast<int64_t>(sequence.pages[group].size()) +
                    (tail_is_shared(sequence, group) ? 1 : 0);
  }
  return counts;
}

void KvCache::append(SequenceId id, int64_t n_tokens) {
  Sequence& sequence = sequences_[static_cast<size_t>(id)];
  for (size_t group = 0; group < n_groups(); ++group) {
    if (!tail_is_shared(sequence, group)) continue;
    PageId& tail = sequence.pages[group].back();  // a truncated fork: write to a copy of the page
    const PageId shared = tail;
    tail = copy_page(group, shared);
    release_page(group, shared);
  }
  sequence.length += n_tokens;
  const auto wanted = static_cast<size_t>(pages_for(sequence.length));
  for (size_t group = 0; group < n_groups(); ++group) {
    while (sequence.pages[group].size() < wanted) {
      sequence.pages[group].push_back(take_page(group));
    }
  }
}

void KvCache::drop_unseen(SequenceId id) {
  if (!has_window() || !is_open(id)) return;
  Sequence& sequence = sequences_[static_cast<size_t>(id)];
  const int64_t first = first_window_page(std::max<int64_t>(0, sequence.length - kWindowSlack));
  for (; sequence.first_held < first; ++sequence.first_held) {
    PageId& left = sequence.pages[kWindowGroup][static_cast<size_t>(sequence.first_held)];
    release_page(kWindowGroup, left);
    left = kNoPage;
  }
}

kernels::PageTable KvCache::table(SequenceId id, size_t layer, size_t slot, size_t share) {
  const size_t n_layers = layout_.layers.size() / layout_.n_shares;
  const KvLayout::Layer& at = layout_.layers[share * n_layers + layer];
  slot += share * n_tables_;
  const std::vector<PageId>& pages = sequences_[static_cast<size_t>(id)].pages[at.group];
  std::byte** const k = k_pages_.data() + slot * table_pages_;
  std::byte** const v = v_pages_.data() + slot * table_pages_;
  for (size_t i = 0; i < pages.size(); ++i) {
    std::byte* const start = pages[i] == kNoPage ? nullptr : page(at.device, at.group, pages[i]);
    k[i] = start == nullptr ? nullptr : start + at.k_offset;
    v[i] = start == nullptr ? nullptr : start + at.v_offset;
  }
  return {{k, pages.size()}, {v, pages.size()}};
}

Pages KvCache::share(SequenceId id, int64_t index) {
  const Sequence& sequence = sequences_[static_cast<size_t>(id)];
  Pages shared = kNoPages;
  for (size_t group = 0; group < n_groups(); ++group) {
    shared[group] = sequence.pages[group][static_cast<size_t>(index)];
  }
  retain(shared);
  return shared;
}

void KvCache::retain(const Pages& pages) {
  for (size_t group = 0; group < n_groups(); ++group) {
    if (pages[group] != kNoPage) ++pools_[group].owners[static_cast<size_t>(pages[group])];
  }
}

void KvCache::release(const Pages& pages) {
  for (size_t group = 0; group < n_groups(); ++group) release_page(group, pages[group]);
}

int32_t KvCache::owners(PageGroup group, PageId page) const {
  return page == kNoPage ? 0 : pools_[group].owners[static_cast<size_t>(page)];
}

std::optional<Pages> KvCache::take(bool with_window) {
  Pages taken = kNoPages;
  const size_t n = with_window ? n_groups() : 1;
  for (size_t group = 0; group < n; ++group) {
    if (pools_[group].free.empty()) {
      release(taken);
      return std::nullopt;
    }
    taken[group] = take_page(group);
  }
  return taken;
}

std::optional<Pages> KvCache::take_window() {
  if (pools_[kWindowGroup].free.empty()) return std::nullopt;
  return Pages{kNoPage, take_page(kWindowGroup)};
}

void KvCache::unify(SequenceId id, int64_t index, Pages& pages) {
  Sequence& sequence = sequences_[static_cast<size_t>(id)];
  for (size_t group = 0; group < n_groups(); ++group) {
    PageId& own = sequence.pages[group][static_cast<size_t>(index)];
    if (own == pages[group] || own == kNoPage) continue;
    if (pages[group] == kNoPage) {
      pages[group] = own;
    } else {
      release_page(group, own);
      own = pages[group];
    }
    ++pools_[group].owners[static_cast<size_t>(own)];
  }
}

void KvCache::attach(SequenceId id, std::span<const Pages> pages, int64_t n_tokens) {
  Sequence& sequence = sequences_[static_cast<size_t>(id)];
  sequence.length = n_tokens;
  sequence.first_held = has_window() && n_tokens > 0 ? first_window_page(n_tokens) : 0;
  const auto whole = static_cast<size_t>(n_tokens / kPageTokens);
  for (size_t group = 0; group < n_groups(); ++group) {
    const auto first = static_cast<size_t>(group == kWindowGroup ? sequence.first_held : 0);
    for (size_t i = 0; i < whole; ++i) {
      const PageId shared = i < first ? kNoPage : pages[i][group];
      if (shared != kNoPage) ++pools_[group].owners[static_cast<size_t>(shared)];
      sequence.pages[group].push_back(shared);
    }
    if (n_tokens % kPageTokens != 0) {
      sequence.pages[group].push_back(copy_page(group, pages[whole][group]));
    }
  }
}

Result<void> KvCache::read(PageGroup group, PageId id, std::span<std::byte> to) const {
  for (size_t device = 0; device < buffers_.size(); ++device) {
    const size_t bytes = layout_.device_bytes[device][group];
    LLMRUN_TRY(buffers_[device]->read(to.data(), offset_of(device, group, id), bytes));
    to = to.subspan(bytes);
  }
  return {};
}

void KvCache::write(PageGroup group, PageId id, std::span<const std::byte> from) {
  for (size_t device = 0; device < buffers_.size(); ++device) {
    const size_t bytes = layout_.device_bytes[device][group];
    buffers_[device]->write(offset_of(device, group, id), from.data(), bytes);
    from = from.subspan(bytes);
  }
}

std::byte* KvCache::page(size_t device, PageGroup group, PageId index) const {
  return pools_[group].starts[device] +
         static_cast<size_t>(index) * layout_.device_bytes[device][group];
}

size_t KvCache::offset_of(size_t device, PageGroup group, PageId index) const {
  return static_cast<size_t>(page(device, group, index) - buffers_[device]->data());
}

void KvCache::release_page(size_t group, PageId page) {
  if (page == kNoPage) return;
  Pool& pool = pools_[group];
  if (--pool.owners[static_cast<size_t>(page)] == 0) pool.free.push_back(page);
}

PageId KvCache::take_page(size_t group) {
  Pool& pool = pools_[group];
  const PageId taken = pool.free.back();
  pool.free.pop_back();
  pool.owners[static_cast<size_t>(taken)] = 1;
  return taken;
}

PageId KvCache::copy_page(size_t group, PageId from) {
  const PageId copy = take_page(group);
  const auto which = static_cast<PageGroup>(group);
  for (size_t device = 0; device < buffers_.size(); ++device) {
    // Models without attention have pages of no bytes, at no address.
    const size_t n_bytes = layout_.device_bytes[device][group];
    if (n_bytes == 0) continue;
    buffers_[device]->copy(offset_of(device, which, copy), offset_of(device, which, from), n_bytes);
  }
  return copy;
}

bool KvCache::tail_is_shared(const Sequence& sequence, size_t group) const {
  return sequence.length % kPageTokens != 0 &&
         pools_[group].owners[static_cast<size_t>(sequence.pages[group].back())] > 1;
}

}  // namespace llmrun::runtime
