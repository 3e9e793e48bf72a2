// The keys and values of all sequences: fixed pages of kPageTokens tokens with reference counts,
// from one pool per group of layers (see kv_layout.h) whose size the memory plan gives. A page
// holds the tokens of all layers of its group, so a sequence is a list of page numbers per group,
// and sharing, growing and freeing copy nothing.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "kernels/backend.h"
#include "runtime/batch.h"
#include "runtime/kv_layout.h"

namespace llmrun::runtime {

using PageId = int32_t;
inline constexpr PageId kNoPage = -1;
// The pages of the same kPageTokens tokens: one per group, or kNoPage.
using Pages = std::array<PageId, kPageGroups>;
inline constexpr Pages kNoPages = {kNoPage, kNoPage};

class KvCache {
 public:
  using Buffers = std::vector<std::unique_ptr<kernels::Buffer>>;
  // Each device's buffer holds its parts of the pages, group after group; a sequence has at most
  // `context_tokens` tokens.
  KvCache(KvLayout layout, Buffers buffers, const PageCounts& n_pages, int64_t max_sequences,
          int64_t context_tokens);
  // Of one device.
  KvCache(KvLayout layout, std::unique_ptr<kernels::Buffer> buffer, const PageCounts& n_pages,
          int64_t max_sequences, int64_t context_tokens);

  Result<SequenceId> open();
  void close(SequenceId id);
  [[nodiscard]] bool is_open(SequenceId id) const;
  [[nodiscard]] int64_t length(SequenceId id) const;
  void truncate(SequenceId id, int64_t n_tokens);
  // The longest beginning of at most n_tokens whose next token finds all it sees: n_tokens, or 0
  // when a window has left too much behind.
  [[nodiscard]] int64_t restorable(SequenceId id, int64_t n_tokens) const;
  // A new sequence that shares the whole pages within the first n_tokens of `parent`, and has a
  // copy of the page they end in. n_tokens must be restorable.
  Result<SequenceId> fork(SequenceId parent, int64_t n_tokens);

  [[nodiscard]] int64_t free_tokens() const;
  // Pages that appending n_tokens would take from the pools.
  [[nodiscard]] PageCounts pages_needed(SequenceId id, int64_t n_tokens) const;
  [[nodiscard]] PageCounts free_pages() const;
  [[nodiscard]] const PageCounts& n_pages() const { return n_pages_; }
  // Makes room for n_tokens more; the caller has checked that the pages are there.
  void append(SequenceId id, int64_t n_tokens);
  // Gives the pages back that no window sees any more.
  void drop_unseen(SequenceId id);

  // The pages of a sequence in one layer; null where a window has left them behind. Valid until the
  // next call with the same slot and share; shares may call at the same time.
  kernels::PageTable table(SequenceId id, size_t layer, size_t slot = 0, size_t share = 0);
  // Tables that are valid at a time: one per slot below this, for each share.
  static constexpr size_t kTables = 16;

  // ---- pages kept beside the sequences
  // -----------------------------------------------------------

  [[nodiscard]] const KvLayout& layout() const { return layout_; }
  [[nodiscard]] bool has_window() const { return layout_.window > 0; }
  // The first page that a sequence of n_tokens needs in the window group to go on.
  [[nodiscard]] int64_t first_window_page(int64_t n_tokens) const;
  // Another owner for the pages of the sequence's tokens from index * kPageTokens on.
  [[nodiscard]] Pages share(SequenceId id, int64_t index);
  void retain(const Pages& pages);
  void release(const Pages& pages);
  [[nodiscard]] int32_t owners(PageGroup group, PageId page) const;
  // A fresh page of each wanted group with one owner; nothing when a pool is empty.
  std::optional<Pages> take(bool with_window);
  std::optional<Pages> take_window();  // of the window group alone
  // Puts equal pages in the place of the sequence's own, which go back to the pools. A page that
  // only one side has is then shared by both.
  void unify(SequenceId id, int64_t index, Pages& pages);
  // Fills an empty sequence: whole pages are shared, the one that n_tokens ends in is copied (the
  // caller has checked that there are free ones).
  void attach(SequenceId id, std::span<const Pages> pages, int64_t n_tokens);
  // A page as bytes, layout().page_bytes[group] of them: the parts of all devices.
  Result<void> read(PageGroup group, PageId page, std::span<std::byte> to) const;
  void write(PageGroup group, PageId page, std::span<const std::byte> from);

 private:
  struct Sequence {
    bool open = false;
    int64_t length = 0;
    std::array<std::vector<PageId>, kPageGroups> pages;
    int64_t first_held = 0;  // of the window group; pages before it are kNoPage
  };
  struct Pool {
    std::vector<std::byte*> starts;  // of each device
    std::vector<PageId> free;        // the next one last
    std::vector<int32_t> owners;     // of every page
  };
  [[nodiscard]] size_t n_groups() const { return has_window() ? kPageGroups : 1; }
  [[nodiscard]] std::byte* page(size_t device, PageGroup group, PageId index) const;
  [[nodiscard]] size_t offset_of(size_t device, PageGroup group, PageId index) const;
  void release_page(size_t group, PageId page);
  PageId take_page(size_t group);
  PageId copy_page(size_t group, PageId from);
  // True when the next token goes into a page that another owner holds too.
  [[nodiscard]] bool tail_is_shared(const Sequence& sequence, size_t group) const;

  KvLayout layout_;
  Buffers buffers_;
  PageCounts n_pages_;
  int64_t context_tokens_;
  std::array<Pool, kPageGroups> pools_;
  std::vector<Sequence> sequences_;
  size_t n_tables_;                            // of one share
  size_t table_pages_;                         // of one slot
  std::vector<std::byte*> k_pages_, v_pages_;  // what table() points to, slot after slot
};

}  // namespace llmrun::runtime
