// Page bookkeeping of the KV cache. Nothing is allocated after construction.
#include "runtime/kv_cache.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"

namespace llmrun::runtime {

using kernels::kPageTokens;

namespace {
constexpr size_t kSectionAlignment = 64;

size_t section_bytes(int64_t n_heads, kernels::CacheType type, int64_t dim) {
  if (n_heads == 0 || dim == 0) return 0;
  const size_t bytes =
      static_cast<size_t>(n_heads * kPageTokens) * kernels::cache_row_bytes(type, dim);
  return (bytes + kSectionAlignment - 1) / kSectionAlignment * kSectionAlignment;
}

int64_t pages_for(int64_t n_tokens) { return (n_tokens + kPageTokens - 1) / kPageTokens; }
}  // namespace

KvLayout kv_layout(const ModelSpec& spec, kernels::CacheType k_type, kernels::CacheType v_type,
                   PageUse use) {
  KvLayout layout;
  for (const LayerSpec& layer : spec.layers) {
    const KvShape shape = kv_shape(layer);
    const size_t k_offset = use == PageUse::kPass ? 0 : layout.page_bytes;
    const size_t v_offset = k_offset + section_bytes(shape.n_kv_heads, k_type, shape.k_dim);
    const size_t end = v_offset + section_bytes(shape.n_kv_heads, v_type, shape.v_dim);
    layout.page_bytes = std::max(layout.page_bytes, end);
    layout.layers.push_back({shape, k_offset, v_offset});
  }
  return layout;
}

KvCache::KvCache(KvLayout layout, std::unique_ptr<kernels::Buffer> buffer, int64_t n_pages,
                 int64_t max_sequences, int64_t context_tokens)
    : layout_(std::move(layout)), buffer_(std::move(buffer)), context_tokens_(context_tokens) {
  const auto pages_per_sequence = static_cast<size_t>(pages_for(context_tokens));
  free_.reserve(static_cast<size_t>(n_pages));
  for (int64_t i = n_pages - 1; i >= 0; --i) free_.push_back(static_cast<int32_t>(i));
  reference_count_.assign(static_cast<size_t>(n_pages), 0);
  sequences_.resize(static_cast<size_t>(max_sequences));
  for (Sequence& sequence : sequences_) sequence.pages.reserve(pages_per_sequence);
  k_pages_.resize(pages_per_sequence);
  v_pages_.resize(pages_per_sequence);
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

void KvCache::truncate(SequenceId id, int64_t n_tokens) {
  if (!is_open(id)) return;
  Sequence& sequence = sequences_[static_cast<size_t>(id)];
  sequence.length = std::clamp(n_tokens, int64_t{0}, sequence.length);
  release_pages(sequence, pages_for(sequence.length));
}

Result<SequenceId> KvCache::fork(SequenceId parent, int64_t n_tokens) {
  LLMRUN_ASSIGN(const SequenceId id, open());
  const Sequence& from = sequences_[static_cast<size_t>(parent)];
  Sequence& to = sequences_[static_cast<size_t>(id)];
  to.length = std::clamp(n_tokens, int64_t{0}, from.length);
  for (int64_t i = 0; i < to.length / kPageTokens; ++i) {
    const int32_t shared = from.pages[static_cast<size_t>(i)];
    ++reference_count_[static_cast<size_t>(shared)];
    to.pages.push_back(shared);
  }
  if (to.length % kPageTokens != 0) to.pages.push_back(copy_page(from.pages[to.pages.size()]));
  return id;
}

int64_t KvCache::free_tokens() const {
  int64_t in_pages = free_pages() * kPageTokens;
  int64_t in_sequences = 0;
  for (const Sequence& sequence : sequences_) {
    in_pages += static_cast<int64_t>(sequence.pages.size()) * kPageTokens - sequence.length;
    in_sequences += context_tokens_ - sequence.length;
  }
  return std::min(in_pages, in_sequences);
}

int64_t KvCache::pages_needed(SequenceId id, int64_t n_tokens) const {
  const Sequence& sequence = sequences_[static_cast<size_t>(id)];
  return pages_for(sequence.length + n_tokens) - static_cast<int64_t>(sequence.pages.size()) +
         (tail_is_shared(sequence) ? 1 : 0);
}

void KvCache::append(SequenceId id, int64_t n_tokens) {
  Sequence& sequence = sequences_[static_cast<size_t>(id)];
  if (tail_is_shared(sequence)) {  // a truncated fork: write to a copy of the page
    int32_t& tail = sequence.pages.back();
    --reference_count_[static_cast<size_t>(tail)];
    tail = copy_page(tail);
  }
  sequence.length += n_tokens;
  while (static_cast<int64_t>(sequence.pages.size()) < pages_for(sequence.length)) {
    sequence.pages.push_back(take_page());
  }
}

kernels::PageTable KvCache::table(SequenceId id, size_t layer) {
  const Sequence& sequence = sequences_[static_cast<size_t>(id)];
  const KvLayout::Layer& at = layout_.layers[layer];
  for (size_t i = 0; i < sequence.pages.size(); ++i) {
    std::byte* const start = page(sequence.pages[i]);
    k_pages_[i] = start + at.k_offset;
    v_pages_[i] = start + at.v_offset;
  }
  return {{k_pages_.data(), sequence.pages.size()}, {v_pages_.data(), sequence.pages.size()}};
}

std::byte* KvCache::page(int32_t index) const {
  return buffer_->data() + static_cast<size_t>(index) * layout_.page_bytes;
}

void KvCache::release_pages(Sequence& sequence, int64_t keep) {
  while (static_cast<int64_t>(sequence.pages.size()) > keep) {
    const int32_t last = sequence.pages.back();
    sequence.pages.pop_back();
    if (--reference_count_[static_cast<size_t>(last)] == 0) free_.push_back(last);
  }
}

int32_t KvCache::take_page() {
  const int32_t taken = free_.back();
  free_.pop_back();
  reference_count_[static_cast<size_t>(taken)] = 1;
  return taken;
}

int32_t KvCache::copy_page(int32_t from) {
  const int32_t copy = take_page();
  // Models without attention have pages of no bytes, at no address.
  if (layout_.page_bytes > 0) std::memcpy(page(copy), page(from), layout_.page_bytes);
  return copy;
}

bool KvCache::tail_is_shared(const Sequence& sequence) const {
  return sequence.length % kPageTokens != 0 &&
         reference_count_[static_cast<size_t>(sequence.pages.back())] > 1;
}

}  // namespace llmrun::runtime
