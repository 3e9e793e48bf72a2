// A radix tree over token ids: a node is one page of tokens, and the way to it is the text before.
// Nodes are found by the tokens of a prompt and forgotten in the order they were used last.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "llmrun/message.h"
#include "runtime/kv_cache.h"

namespace llmrun::engine {

struct PrefixNode {
  PrefixNode* parent = nullptr;
  std::vector<TokenId> tokens;  // a whole page of them; fewer only in a leaf
  runtime::Pages pages = runtime::kNoPages;
  std::optional<runtime::SequenceId> state;  // a copy of the recurrent state after the last token
  int32_t n_users = 0;                       // running sequences that begin with this node
  uint64_t last_used = 0;
  std::vector<std::unique_ptr<PrefixNode>> children;

  [[nodiscard]] bool is_whole() const {
    return static_cast<int64_t>(tokens.size()) == kernels::kPageTokens;
  }
};

class PrefixTree {
 public:
  struct Match {
    std::vector<PrefixNode*> path;  // the last one may match only with its first tokens
    int64_t n_tokens = 0;
    // Where a text in the tree goes on with another token: which token that is.
    std::optional<TokenId> other;
  };
  // The longest beginning of `tokens` in the tree, of at most `most` tokens.
  [[nodiscard]] Match match(std::span<const TokenId> tokens, int64_t most) const;

  [[nodiscard]] PrefixNode* root() { return &root_; }
  // The child of exactly these tokens, or null.
  [[nodiscard]] static PrefixNode* child(const PrefixNode& parent, std::span<const TokenId> tokens);
  PrefixNode* add(PrefixNode* parent, std::span<const TokenId> tokens, const runtime::Pages& pages);
  // A leaf that nobody uses. The caller has taken its pages and state.
  void remove(PrefixNode* node);
  void use(PrefixNode* node);
  void unuse(PrefixNode* node);
  void touch(PrefixNode* node);
  // After a change of node->pages.
  void list(PrefixNode* node);

  // The leaf that was unused for longest; null: all are in use.
  [[nodiscard]] PrefixNode* oldest_idle_leaf() const;
  using ByAge = std::set<std::pair<uint64_t, PrefixNode*>>;
  // Nodes with a page in the window group, the one unused for longest first.
  [[nodiscard]] const ByAge& with_window() const { return with_window_; }

  [[nodiscard]] int64_t n_idle() const { return n_idle_; }  // nodes that nobody uses
  [[nodiscard]] int64_t n_tokens() const { return n_tokens_; }

 private:
  void unlist(PrefixNode* node);

  PrefixNode root_;
  ByAge idle_leaves_, with_window_;
  uint64_t clock_ = 0;
  int64_t n_idle_ = 0;
  int64_t n_tokens_ = 0;
};

// How many tokens both begin with.
size_t common_prefix(std::span<const TokenId> a, std::span<const TokenId> b);

}  // namespace llmrun::engine
