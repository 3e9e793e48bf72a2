// Embeddings of the last tokens, found by hashing (qwen4exp): every stream takes them as far as
// they resemble it, and what a convolution over time makes of them.
#include <cmath>

#include "runtime/pass.h"

namespace llmrun::runtime {
namespace {

// The token at row t of the chunk and those before it; from an end or the beginning of the
// sequence on, `end`.
class LastTokens {
 public:
  LastTokens(const Pass& pass, const NgramEmbedding& ngram, const PassChunk& chunk)
      : ids_(pass.ids.subspan(static_cast<size_t>(chunk.first_row),
                              static_cast<size_t>(chunk.n_rows))),
        before_(pass.states->last_tokens(chunk.sequence)),
        end_(ngram.end) {}

  // fn(j, token) for the token j places before t, for j of 0 to n - 1.
  template <typename Fn>
  void each(int64_t t, int64_t n, const Fn& fn) const {
    bool cut = false;
    for (int64_t j = 0; j < n; ++j) {
      const TokenId token = at(t - j);
      cut = cut || (j > 0 && (token == RecurrentStates::kNoToken || token == end_));
      fn(j, cut ? end_ : token);
    }
  }

 private:
  [[nodiscard]] TokenId at(int64_t t) const {
    if (t >= 0) return ids_[static_cast<size_t>(t)];
    return before_[before_.size() - static_cast<size_t>(-t)];
  }

  std::span<const int32_t> ids_;
  std::span<const TokenId> before_;
  TokenId end_;
};

// The rows of the table for one token. The hash of n tokens is the exclusive or of each one's
// product with its multiplier, so that of n + 1 goes on from it.
void look_up(const NgramEmbedding& ngram, const LastTokens& last, int64_t t, int32_t* rows) {
  uint64_t hash = 0;
  int64_t head = 0;
  last.each(t, ngram.order, [&](int64_t j, TokenId token) {
    hash ^= static_cast<uint64_t>(token) *
            static_cast<uint64_t>(ngram.multipliers[static_cast<size_t>(j)]);
    if (j == 0) return;
    for (int64_t g = 0; g < ngram.heads_per_order; ++g, ++head) {
      const auto h = static_cast<size_t>(head);
      const uint64_t row = hash % static_cast<uint64_t>(ngram.row_counts[h]);
      rows[head] = static_cast<int32_t>(static_cast<int64_t>(row) + ngram.offsets[h]);
    }
  });
}

// [n_tokens, (order - 1) * heads_per_order * width]
Rows embed_ngrams(Pass& pass, const NgramEmbedding& ngram) {
  const int64_t n_heads = (ngram.order - 1) * ngram.heads_per_order;
  const int64_t n = pass.n_tokens * n_heads;
  const Rows embedded = pass.arena.rows(pass.n_tokens, n_heads * ngram.width);
  const ArenaScope scope(pass.host);
  auto* const rows = pass.host.array<int32_t>(n);
  if (pass.measuring()) return embedded;
  for (const PassChunk& chunk : pass.chunks) {
    const LastTokens last(pass, ngram, chunk);
    for (int64_t t = 0; t < chunk.n_rows; ++t) {
      look_up(ngram, last, t, rows + (chunk.first_row + t) * n_heads);
    }
  }
  pass.ops.embed({.table = pass.weights.matrix(ngram.table),
                  .ids = {rows, static_cast<size_t>(n)},
                  .y = split_heads(embedded, n_heads, 0, ngram.width)});
  return embedded;
}

}  // namespace

void add_ngram_embedding(Pass& pass, const NgramEmbedding& ngram, Rows x) {
  const ArenaScope scope(pass.arena);
  const int64_t d_model = pass.spec.d_model;
  const int64_t n_streams = x.width / d_model;
  const Rows embedded = embed_ngrams(pass, ngram);
  const Rows key = pass.arena.rows(x.n, x.width);
  const Rows query = pass.arena.rows(x.n, x.width);
  const Rows value = pass.arena.rows(x.n, d_model);
  const Rows likeness = pass.arena.rows(x.n, n_streams);
  project(pass, embedded, {{ngram.key, key}, {ngram.value, value}});
  apply_norm(pass, ngram.key_norm, key, key);
  apply_norm(pass, ngram.query_norm, x, query);
  pass.ops.group_dot({.a = key,
                      .b = query,
                      .group = d_model,
                      .scale = 1.0F / std::sqrt(static_cast<float>(d_model)),
                      .signed_root = true,
                      .y = likeness});
  const Rows taken = key;  // their sums are done
  for (int64_t c = 0; c < n_streams; ++c) {
    copy_rows(pass, value, columns(taken, c * d_model, d_model));
  }
  pass.ops.multiply(
      {.x = likeness, .activation = Activation::kSigmoid, .repeat = d_model, .y = taken});
  pass.ops.add({.x = taken, .y = x});
  apply_norm(pass, ngram.conv_norm, taken, taken);
  for (const PassChunk& chunk : pass.chunks) {
    pass.ops.causal_conv({.x = slice(taken, chunk.first_row, chunk.n_rows),
                          .y = slice(query, chunk.first_row, chunk.n_rows),
                          .weight = pass.weights.vector(ngram.conv.weight),
                          .n_taps = ngram.conv.n_taps,
                          .dilation = ngram.order,
                          .silu = true,
                          .state = pass.states->ngram_window(chunk.sequence, pass.layer),
                          .state_stride = x.width});
  }
  pass.ops.add({.x = query, .y = x});
}

}  // namespace llmrun::runtime
