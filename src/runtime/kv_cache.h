// The keys and values of all sequences: fixed pages of kPageTokens tokens with reference counts,
// from one pool whose size the memory plan gives. A page holds the tokens of all layers, so a
// sequence is a list of page numbers, and sharing, growing and freeing copy nothing.
//
// Layers with a sliding window use pages of the same pool for now and keep keys they will not see
// again; a ring of window / 64 + 1 pages per such layer can replace that behind table().
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "kernels/backend.h"
#include "runtime/batch.h"
#include "runtime/spec.h"

namespace llmrun::runtime {

// Where the parts of a page lie.
struct KvLayout {
  struct Layer {
    KvShape shape;
    size_t k_offset = 0;
    size_t v_offset = 0;
  };
  std::vector<Layer> layers;
  size_t page_bytes = 0;
};
// What pages are for: kPass pages live for one pass that reads whole sequences, so that each layer
// may write over the layer before it, and a page is as large as the largest layer only.
enum class PageUse : uint8_t { kSequence, kPass };
KvLayout kv_layout(const ModelSpec& spec, kernels::CacheType k_type, kernels::CacheType v_type,
                   PageUse use = PageUse::kSequence);

class KvCache {
 public:
  // `buffer` holds n_pages pages of the layout; a sequence has at most `context_tokens` tokens.
  KvCache(KvLayout layout, std::unique_ptr<kernels::Buffer> buffer, int64_t n_pages,
          int64_t max_sequences, int64_t context_tokens);

  Result<SequenceId> open();
  void close(SequenceId id);
  [[nodiscard]] bool is_open(SequenceId id) const;
  [[nodiscard]] int64_t length(SequenceId id) const;
  void truncate(SequenceId id, int64_t n_tokens);
  // A new sequence that shares the whole pages within the first n_tokens of `parent`, and has a
  // copy of the page they end in.
  Result<SequenceId> fork(SequenceId parent, int64_t n_tokens);

  [[nodiscard]] int64_t free_tokens() const;
  // Pages that appending n_tokens would take from the pool.
  [[nodiscard]] int64_t pages_needed(SequenceId id, int64_t n_tokens) const;
  [[nodiscard]] int64_t free_pages() const { return static_cast<int64_t>(free_.size()); }
  // Makes room for n_tokens more; the caller has checked that the pages are there.
  void append(SequenceId id, int64_t n_tokens);

  // The pages of a sequence in one layer. Valid until the next call.
  kernels::PageTable table(SequenceId id, size_t layer);

 private:
  struct Sequence {
    bool open = false;
    int64_t length = 0;
    std::vector<int32_t> pages;
  };
  [[nodiscard]] std::byte* page(int32_t index) const;
  void release_pages(Sequence& sequence, int64_t keep);
  int32_t take_page();
  int32_t copy_page(int32_t from);
  // True when the next token goes into a page that another sequence holds too.
  [[nodiscard]] bool tail_is_shared(const Sequence& sequence) const;

  KvLayout layout_;
  std::unique_ptr<kernels::Buffer> buffer_;
  int64_t context_tokens_;
  std::vector<int32_t> free_;             // page numbers, the next one last
  std::vector<int32_t> reference_count_;  // of every page
  std::vector<Sequence> sequences_;
  std::vector<std::byte*> k_pages_, v_pages_;  // what table() points to
};

}  // namespace llmrun::runtime
