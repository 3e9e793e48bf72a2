// Matching, and the lists by age.
#include "engine/prefix_tree.h"

#include <algorithm>

namespace llmrun::engine {

size_t common_prefix(std::span<const TokenId> a, std::span<const TokenId> b) {
  const size_t n = std::min(a.size(), b.size());
  return static_cast<size_t>(
      std::mismatch(a.begin(), a.begin() + static_cast<ptrdiff_t>(n), b.begin()).first - a.begin());
}

PrefixTree::Match PrefixTree::match(std::span<const TokenId> tokens, int64_t most) const {
  Match match;
  const PrefixNode* node = &root_;
  auto rest = tokens;
  while (match.n_tokens < most) {
    const PrefixNode* best = nullptr;
    size_t best_common = 0;
    for (const auto& child : node->children) {
      const size_t common = common_prefix(child->tokens, rest);
      const bool is_better = best == nullptr || common > best_common ||
                             (common == best_common && child->last_used > best->last_used);
      if (!is_better) continue;
      best = child.get();
      best_common = common;
    }
    if (best == nullptr) break;
    const int64_t room = most - match.n_tokens;
    const int64_t n = std::min(static_cast<int64_t>(best_common), room);
    if (n > 0) match.path.push_back(const_cast<PrefixNode*>(best));
    match.n_tokens += n;
    if (n < static_cast<int64_t>(best->tokens.size()) || !best->is_whole()) {
      if (best_common < best->tokens.size() && best_common < rest.size()) {
        match.other = best->tokens[best_common];
      }
      break;
    }
    rest = rest.subspan(static_cast<size_t>(n));
    node = best;
  }
  return match;
}

PrefixNode* PrefixTree::child(const PrefixNode& parent, std::span<const TokenId> tokens) {
  for (const auto& child : parent.children) {
    if (std::equal(child->tokens.begin(), child->tokens.end(), tokens.begin(), tokens.end())) {
      return child.get();
    }
  }
  return nullptr;
}

PrefixNode* PrefixTree::add(PrefixNode* parent, std::span<const TokenId> tokens,
                            const runtime::Pages& pages) {
  unlist(parent);
  auto node = std::make_unique<PrefixNode>();
  node->parent = parent;
  node->tokens.assign(tokens.begin(), tokens.end());
  node->pages = pages;
  node->last_used = ++clock_;
  parent->children.push_back(std::move(node));
  list(parent);
  ++n_idle_;
  n_tokens_ += static_cast<int64_t>(tokens.size());
  list(parent->children.back().get());
  return parent->children.back().get();
}

void PrefixTree::remove(PrefixNode* node) {
  PrefixNode* const parent = node->parent;
  unlist(node);
  unlist(parent);
  --n_idle_;
  n_tokens_ -= static_cast<int64_t>(node->tokens.size());
  std::erase_if(parent->children, [node](const auto& child) { return child.get() == node; });
  list(parent);
}

void PrefixTree::use(PrefixNode* node) {
  unlist(node);
  if (node->n_users++ == 0) --n_idle_;
  list(node);
}

void PrefixTree::unuse(PrefixNode* node) {
  unlist(node);
  if (--node->n_users == 0) ++n_idle_;
  list(node);
}

void PrefixTree::touch(PrefixNode* node) {
  unlist(node);
  node->last_used = ++clock_;
  list(node);
}

PrefixNode* PrefixTree::oldest_idle_leaf() const {
  return idle_leaves_.empty() ? nullptr : idle_leaves_.begin()->second;
}

void PrefixTree::list(PrefixNode* node) {
  if (node == &root_) return;
  unlist(node);
  if (node->n_users == 0 && node->children.empty()) idle_leaves_.emplace(node->last_used, node);
  if (node->pages[runtime::kWindowGroup] != runtime::kNoPage) {
    with_window_.emplace(node->last_used, node);
  }
}

void PrefixTree::unlist(PrefixNode* node) {
  idle_leaves_.erase({node->last_used, node});
  with_window_.erase({node->last_used, node});
}

}  // namespace llmrun::engine
