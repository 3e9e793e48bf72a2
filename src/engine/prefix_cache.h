// What the caches hold beyond the running sequences: every text that was read, as pages in a radix
// tree, so that a prompt that begins like any of them, running or long done, is read only from
// where it departs. Pages are forgotten when the pool needs them, the longest unused first.
//
// Going on in the middle of a text takes more than pages where the model has recurrent states
// (a copy of the state at that very token is needed) or sliding windows (the pages of the window
// before it); such copies are kept for a planned number of places: where texts were seen to part,
// at the last page border of a prompt, and at the end of an answer.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "engine/prefix_tree.h"
#include "llmrun/error.h"
#include "runtime/model.h"

namespace llmrun::engine {

// A running sequence's hold on the cache.
struct Lease {
  runtime::SequenceId sequence = 0;
  int64_t n_cached = 0;           // tokens it began with
  std::vector<PrefixNode*> path;  // its whole pages that are in the tree, in order
  std::vector<int64_t> stops;     // lengths at which the recurrent state is to be kept, ascending
};

class PrefixCache {
 public:
  // `context` must outlive this object.
  explicit PrefixCache(runtime::Context& context);

  // What is there of a text, of which the last token is always left to run.
  struct Found {
    PrefixTree::Match match;
    int64_t n_tokens = 0;      // that the model can go on after
    int64_t n_idle_pages = 0;  // of those, that no running sequence holds
    [[nodiscard]] int64_t n_whole_pages() const { return n_tokens / kernels::kPageTokens; }
  };
  [[nodiscard]] Found find(std::span<const TokenId> tokens) const;
  // Opens a sequence that holds what was found.
  Result<Lease> open(const Found& found, std::span<const TokenId> tokens);

  // `held` is what the sequence's cache holds now: its whole pages become known to others.
  void extend(Lease& lease, std::span<const TokenId> held);
  // Ends the sequence and keeps what it holds.
  void close(Lease& lease, std::span<const TokenId> held);
  // Ends the sequence; what it holds is not to be trusted.
  void discard(Lease& lease);
  // Tokens that may be run from `length` on before extend() must be called.
  [[nodiscard]] static int64_t room_to_next_stop(const Lease& lease, int64_t length);

  // Forgets until so many pages are free; false: what is left is in use.
  bool make_room(const runtime::PageCounts& needed);
  // Pages of the whole group that are free or can be made free.
  [[nodiscard]] int64_t available_pages() const;
  // Forgets all that is not in use.
  void clear();
  [[nodiscard]] int64_t held_tokens() const { return tree_.n_tokens(); }

  // For the cache on disk: a node after `path`, with pages to be filled; null when there is no
  // room.
  PrefixNode* add_blank(const std::vector<PrefixNode*>& path, std::span<const TokenId> tokens,
                        bool with_window);
  // A page of the window group to be filled, for a node that has none; false: no room.
  bool add_window(const std::vector<PrefixNode*>& path, PrefixNode* node);
  void drop_window(PrefixNode* node);
  void remove(PrefixNode* node);
  // A place for a state to be filled; nothing when the context keeps none.
  std::optional<runtime::SequenceId> add_state(PrefixNode* node);
  void drop_state(PrefixNode* node);

 private:
  [[nodiscard]] int64_t usable(const PrefixTree::Match& match) const;
  void keep_state(PrefixNode* node, runtime::SequenceId sequence);
  bool drop_oldest_leaf();
  bool drop_oldest_window();
  void keep_tail(Lease& lease, std::span<const TokenId> tail);
  void drop_shorter(PrefixNode* parent, std::span<const TokenId> tokens);

  runtime::Context& context_;
  runtime::KvCache& cache_;
  runtime::RecurrentStates& states_;
  PrefixTree tree_;
  std::vector<PrefixNode*> with_state_;
};

}  // namespace llmrun::engine
