// Computes the vectors of the rows of one model that ask for some.
#pragma once

#include <functional>
#include <span>

#include "batch/group.h"
#include "batch/status.h"
#include "llmrun/embedder.h"
#include "llmrun/error.h"

namespace llmrun::batch {

// Gives the vectors of every row for which is_done() does not hold, in order, as soon as they are
// there. kInterrupted when `watch` said stop.
struct EmbeddingHooks {
  std::function<bool(size_t row)> is_done;
  std::function<Result<void>(size_t row, std::span<const Embedding> vectors)> finish;
};
Result<void> run_embeddings(const Model& model, const Group& group, std::span<const Row> rows,
                            const EmbeddingHooks& hooks, Status& status, const Watch& watch);

}  // namespace llmrun::batch
