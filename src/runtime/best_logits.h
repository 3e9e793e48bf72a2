// Logits that stay on the device, but for those that the chunks of a batch ask for: a vocabulary is
// half a megabyte, and what a sampler looks at is mostly a few tokens.
#pragma once

#include "kernels/backend.h"
#include "runtime/arena.h"
#include "runtime/batch.h"
#include "runtime/pass.h"

namespace llmrun::runtime {

// What each row gives: as much as the chunk that asks for most. n_best 0: whole rows.
struct BestRows {
  int64_t n_best = 0;
  int64_t n_named = 0;
  bool draws = false;  // the token of each row, and nothing else
  [[nodiscard]] int64_t width() const { return n_best + n_named; }
};
BestRows best_rows(const Batch& batch, const ModelSpec& spec, const kernels::Backend& backend);

// Memory of a pass of n_rows rows of logits that finds their best. Takes nothing when the backend
// finds none.
struct BestMemory {
  Rows logits{};
  std::byte* scratch = nullptr;
  int32_t* named = nullptr;  // the host's; [n_rows, kMaxNamed]
};
BestMemory best_memory(Pass& pass, const kernels::Backend& backend, int64_t n_rows);

// run_forward(), and what `wanted` says of each row in `output`: tokens, then their logits.
Logits run_best(Pass& pass, kernels::Backend& backend, const Batch& batch, const BestRows& wanted,
                int64_t n_rows, float* output);

}  // namespace llmrun::runtime
