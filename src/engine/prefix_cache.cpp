// Pages and states of the texts that were read.
#include "engine/prefix_cache.h"

#include <algorithm>

#include "base/error.h"

namespace llmrun::engine {

using kernels::kPageTokens;
using runtime::kNoPage;
using runtime::kWholeGroup;
using runtime::kWindowGroup;

PrefixCache::PrefixCache(runtime::Context& context)
    : context_(context), cache_(context.cache()), states_(context.states()) {}

// ---- finding -----------------------------------------------------------------------------------

PrefixCache::Found PrefixCache::find(std::span<const TokenId> tokens) const {
  Found found;
  if (tokens.empty()) return found;
  found.match = tree_.match(tokens, static_cast<int64_t>(tokens.size()) - 1);
  found.n_tokens = usable(found.match);
  const auto whole = found.match.path.begin() + static_cast<ptrdiff_t>(found.n_whole_pages());
  found.n_idle_pages = std::count_if(found.match.path.begin(), whole,
                                     [](const PrefixNode* node) { return node->n_users == 0; });
  return found;
}

int64_t PrefixCache::usable(const PrefixTree::Match& match) const {
  if (!cache_.has_window() && !states_.any()) return match.n_tokens;
  int64_t best = 0;
  int64_t run = 0;  // pages of the window group without a gap
  for (int64_t i = 0; i < static_cast<int64_t>(match.path.size()); ++i) {
    const PrefixNode& node = *match.path[static_cast<size_t>(i)];
    const int64_t end = std::min(match.n_tokens, (i + 1) * kPageTokens);
    run = node.pages[kWindowGroup] == kNoPage ? 0 : run + 1;
    if (cache_.has_window() && i + 1 - cache_.first_window_page(end) > run) continue;
    const bool at_end = end == i * kPageTokens + static_cast<int64_t>(node.tokens.size());
    if (states_.any() && !(node.state && at_end)) continue;
    best = end;
  }
  return best;
}

Result<Lease> PrefixCache::open(const Found& found, std::span<const TokenId> tokens) {
  Lease lease;
  LLMRUN_ASSIGN(lease.sequence, context_.open_sequence());
  const auto& path = found.match.path;
  int64_t n_tokens = found.n_tokens;
  // Held while room is made for the copy of the page that n_tokens ends in.
  std::vector<runtime::Pages> pages;
  for (int64_t i = 0; i < runtime::pages_for(n_tokens); ++i) {
    PrefixNode* const node = path[static_cast<size_t>(i)];
    tree_.use(node);
    tree_.touch(node);
    cache_.retain(node->pages);
    pages.push_back(node->pages);
  }
  const bool must_copy = n_tokens % kPageTokens != 0;
  if (must_copy && !make_room({1, cache_.has_window() ? 1 : 0})) {
    n_tokens = 0;  // no room even for one page: the scheduler will see to it
  }
  if (n_tokens > 0) {
    cache_.attach(lease.sequence, pages, n_tokens);
    if (states_.any()) states_.copy(*path[pages.size() - 1]->state, lease.sequence);
  }
  for (const runtime::Pages& held : pages) cache_.release(held);
  const int64_t n_whole = n_tokens / kPageTokens;
  for (int64_t i = 0; i < static_cast<int64_t>(pages.size()); ++i) {
    if (i < n_whole) {
      lease.path.push_back(path[static_cast<size_t>(i)]);
    } else {
      tree_.unuse(path[static_cast<size_t>(i)]);
    }
  }
  lease.n_cached = n_tokens;
  if (states_.any()) {
    const auto border = [](int64_t n) { return n / kPageTokens * kPageTokens; };
    const int64_t parting = border(found.match.n_tokens);
    const int64_t last = border(static_cast<int64_t>(tokens.size()) - 1);
    for (const int64_t stop : {std::min(parting, last), last}) {
      const bool is_new = lease.stops.empty() || lease.stops.back() < stop;
      if (stop > n_tokens && is_new) lease.stops.push_back(stop);
    }
  }
  return lease;
}

int64_t PrefixCache::room_to_next_stop(const Lease& lease, int64_t length) {
  for (const int64_t stop : lease.stops) {
    if (stop > length) return stop - length;
  }
  return INT64_MAX;
}

// ---- keeping -----------------------------------------------------------------------------------

void PrefixCache::extend(Lease& lease, std::span<const TokenId> held) {
  const auto n_held = static_cast<int64_t>(held.size());
  while (static_cast<int64_t>(lease.path.size() + 1) * kPageTokens <= n_held) {
    const auto index = static_cast<int64_t>(lease.path.size());
    const auto tokens =
        held.subspan(static_cast<size_t>(index * kPageTokens), static_cast<size_t>(kPageTokens));
    PrefixNode* const parent = lease.path.empty() ? tree_.root() : lease.path.back();
    PrefixNode* node = PrefixTree::child(*parent, tokens);
    if (node == nullptr) {
      drop_shorter(parent, tokens);
      node = tree_.add(parent, tokens, cache_.share(lease.sequence, index));
    } else {  // somebody read the same beside this sequence
      cache_.unify(lease.sequence, index, node->pages);
      tree_.touch(node);
    }
    tree_.use(node);
    lease.path.push_back(node);
  }
  const bool is_stop = std::binary_search(lease.stops.begin(), lease.stops.end(), n_held);
  if (is_stop && !lease.path.empty()) keep_state(lease.path.back(), lease.sequence);
  cache_.drop_unseen(lease.sequence);
}

void PrefixCache::close(Lease& lease, std::span<const TokenId> held) {
  extend(lease, held);
  const auto tail = held.subspan(lease.path.size() * static_cast<size_t>(kPageTokens));
  if (!tail.empty()) {
    keep_tail(lease, tail);
  } else if (states_.any() && !lease.path.empty()) {
    keep_state(lease.path.back(), lease.sequence);
  }
  discard(lease);
}

void PrefixCache::keep_tail(Lease& lease, std::span<const TokenId> tail) {
  PrefixNode* const parent = lease.path.empty() ? tree_.root() : lease.path.back();
  PrefixNode* node = PrefixTree::child(*parent, tail);
  if (node == nullptr) {
    const bool is_known =
        !states_.any() &&
        std::any_of(parent->children.begin(), parent->children.end(),
                    [&](const auto& c) { return common_prefix(c->tokens, tail) == tail.size(); });
    if (is_known) return;  // a longer one begins so
    drop_shorter(parent, tail);
    const auto index = static_cast<int64_t>(lease.path.size());
    node = tree_.add(parent, tail, cache_.share(lease.sequence, index));
  } else {
    tree_.touch(node);
  }
  if (states_.any()) keep_state(node, lease.sequence);
}

// A leaf that a longer one takes the place of.
void PrefixCache::drop_shorter(PrefixNode* parent, std::span<const TokenId> tokens) {
  for (const auto& child : parent->children) {
    const bool covered = common_prefix(child->tokens, tokens) == child->tokens.size();
    if (!covered || child->n_users > 0 || child->state || !child->children.empty()) continue;
    remove(child.get());
    return;  // there is no other: each took the place of the one before
  }
}

void PrefixCache::discard(Lease& lease) {
  for (PrefixNode* const node : lease.path) tree_.unuse(node);
  lease.path.clear();
  context_.close_sequence(lease.sequence);
}

void PrefixCache::keep_state(PrefixNode* node, runtime::SequenceId sequence) {
  if (node->state) return;
  if (const auto place = add_state(node)) states_.copy(sequence, *place);
}

std::optional<runtime::SequenceId> PrefixCache::add_state(PrefixNode* node) {
  auto place = states_.take_place();
  if (!place && !with_state_.empty()) {
    drop_state(*std::min_element(
        with_state_.begin(), with_state_.end(),
        [](const PrefixNode* a, const PrefixNode* b) { return a->last_used < b->last_used; }));
    place = states_.take_place();
  }
  if (!place) return std::nullopt;
  node->state = place;
  with_state_.push_back(node);
  return place;
}

PrefixNode* PrefixCache::add_blank(const std::vector<PrefixNode*>& path,
                                   std::span<const TokenId> tokens, bool with_window) {
  for (PrefixNode* const node : path) tree_.use(node);  // stay while room is made
  const bool has_room = make_room({1, with_window ? 1 : 0});
  for (PrefixNode* const node : path) tree_.unuse(node);
  if (!has_room) return nullptr;
  const auto pages = cache_.take(with_window);
  return pages ? tree_.add(path.empty() ? tree_.root() : path.back(), tokens, *pages) : nullptr;
}

bool PrefixCache::add_window(const std::vector<PrefixNode*>& path, PrefixNode* node) {
  for (PrefixNode* const each : path) tree_.touch(each);  // older windows go first
  if (!make_room({0, 1})) return false;
  const auto pages = cache_.take_window();
  if (!pages) return false;
  node->pages[kWindowGroup] = (*pages)[kWindowGroup];
  tree_.list(node);
  return true;
}

// ---- forgetting --------------------------------------------------------------------------------

void PrefixCache::drop_state(PrefixNode* node) {
  if (!node->state) return;
  states_.release_place(*node->state);
  node->state.reset();
  std::erase(with_state_, node);
}

void PrefixCache::remove(PrefixNode* node) {
  drop_state(node);
  cache_.release(node->pages);
  tree_.remove(node);
}

bool PrefixCache::drop_oldest_leaf() {
  PrefixNode* const oldest = tree_.oldest_idle_leaf();
  if (oldest == nullptr) return false;
  remove(oldest);
  return true;
}

bool PrefixCache::drop_oldest_window() {
  for (const auto& [age, node] : tree_.with_window()) {
    PrefixNode* const oldest = node;
    if (cache_.owners(kWindowGroup, oldest->pages[kWindowGroup]) > 1) continue;
    drop_window(oldest);
    return true;
  }
  return false;
}

void PrefixCache::drop_window(PrefixNode* node) {
  cache_.release({kNoPage, node->pages[kWindowGroup]});
  node->pages[kWindowGroup] = kNoPage;
  tree_.list(node);
}

bool PrefixCache::make_room(const runtime::PageCounts& needed) {
  while (cache_.free_pages()[kWholeGroup] < needed[kWholeGroup]) {
    if (!drop_oldest_leaf()) return false;
  }
  while (cache_.has_window() && cache_.free_pages()[kWindowGroup] < needed[kWindowGroup]) {
    if (!drop_oldest_window()) return false;
  }
  return true;
}

int64_t PrefixCache::available_pages() const {
  return cache_.free_pages()[kWholeGroup] + tree_.n_idle();
}

void PrefixCache::clear() {
  while (drop_oldest_leaf()) {
  }
}

}  // namespace llmrun::engine
