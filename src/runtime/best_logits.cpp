// From the wishes of chunks to one search over all rows.
#include "runtime/best_logits.h"

#include <algorithm>
#include <bit>
#include <vector>

#include "kernels/find_best.h"

namespace llmrun::runtime {
namespace {

// Sizes that change little from step to step make steps that repeat.
int64_t rounded(size_t n) { return n == 0 ? 0 : static_cast<int64_t>(std::bit_ceil(n)); }

bool is_in_vocabulary(std::span<const TokenId> tokens, int64_t n_vocab) {
  return std::all_of(tokens.begin(), tokens.end(),
                     [&](TokenId id) { return id >= 0 && id < n_vocab; });
}

}  // namespace

BestRows best_rows(const Batch& batch, const ModelSpec& spec, const kernels::Backend& backend) {
  // The host fills in what a head leaves out.
  if (backend.find_best_bytes(1, spec.n_vocab) == 0 || spec.head.first_token != 0) return {};
  BestRows rows;
  rows.draws = true;
  for (const Chunk& chunk : batch.chunks) {
    if (chunk.logits == WantedLogits::kNone) continue;
    const BestTokens& best = chunk.best;
    if (chunk.logits == WantedLogits::kAll || best.n == 0) return {};
    if (best.n > static_cast<size_t>(kernels::kMaxBest) ||
        best.named.size() > static_cast<size_t>(kernels::kMaxNamed) ||
        !is_in_vocabulary(best.named, spec.n_vocab)) {
      return {};
    }
    rows.n_best = std::max(rows.n_best, rounded(best.n));
    rows.n_named = std::max(rows.n_named, rounded(best.named.size()));
    rows.draws = rows.draws && chunk.draw.options != nullptr;
  }
  // Tokens and logits have room where the whole rows would be.
  return 2 * rows.width() <= spec.n_vocab ? rows : BestRows{};
}

BestMemory best_memory(Pass& pass, const kernels::Backend& backend, int64_t n_rows) {
  const int64_t n_vocab = pass.spec.n_vocab;
  const size_t bytes = backend.find_best_bytes(n_rows, n_vocab);
  if (bytes == 0) return {};
  return {pass.arena.rows(n_rows, n_vocab),
          pass.arena.array<std::byte>(static_cast<int64_t>(bytes)),
          pass.host.array<int32_t>(n_rows * kernels::kMaxNamed)};
}

namespace {

Logits draw(kernels::Backend& backend, const Batch& batch, const BestMemory& memory,
            float* output) {
  const Rows& x = memory.logits;
  std::vector<kernels::RowDraw> rows;
  rows.reserve(static_cast<size_t>(x.n));
  for (const Chunk& chunk : batch.chunks) {
    if (chunk.logits != WantedLogits::kNone) rows.push_back(chunk.draw);
  }
  auto* const tokens = reinterpret_cast<int32_t*>(output);
  backend.draw({x, rows, tokens, output + x.n, memory.scratch});
  return {output + x.n, x.n, x.width, tokens, 1, true};
}

}  // namespace

Logits run_best(Pass& pass, kernels::Backend& backend, const Batch& batch, const BestRows& wanted,
                int64_t n_rows, float* output) {
  const Rows x = run_layers(pass);
  const BestMemory memory = best_memory(pass, backend, n_rows);
  run_head(pass, x, memory.logits);
  if (wanted.draws) return draw(backend, batch, memory, output);
  int32_t* to = memory.named;
  for (const Chunk& chunk : batch.chunks) {
    if (chunk.logits == WantedLogits::kNone) continue;
    const auto& named = chunk.best.named;
    std::fill(std::copy(named.begin(), named.end(), to), to + wanted.n_named, 0);
    to += wanted.n_named;
  }
  auto* const ids = reinterpret_cast<int32_t*>(output);
  float* const values = output + n_rows * wanted.width();
  backend.find_best({.x = memory.logits,
                     .n_best = wanted.n_best,
                     .named = {memory.named, static_cast<size_t>(n_rows * wanted.n_named)},
                     .n_named = wanted.n_named,
                     .columns = ids,
                     .values = values,
                     .scratch = memory.scratch});
  return {values, n_rows, pass.spec.n_vocab, ids, wanted.width()};
}

}  // namespace llmrun::runtime
