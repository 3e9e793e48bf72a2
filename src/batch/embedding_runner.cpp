// Reads the texts of several rows in one go, as many as make good passes.
#include "batch/embedding_runner.h"

#include <chrono>

#include "base/error.h"

namespace llmrun::batch {
namespace {

constexpr size_t kTextsAtOnce = 64;  // between two looks at `watch`

}  // namespace

Result<void> run_embeddings(const Model& model, const Group& group, std::span<const Row> rows,
                            const EmbeddingHooks& hooks, Status& status, const Watch& watch) {
  std::vector<size_t> rest;
  for (const size_t row : group.embeddings) {
    if (!hooks.is_done(row)) rest.push_back(row);
  }
  if (rest.empty()) return {};
  EmbedderOptions options;
  options.max_tokens = group.longest_text;
  LLMRUN_ASSIGN(Embedder embedder, Embedder::open(model, options));
  const auto start = std::chrono::steady_clock::now();
  const double seconds_before = status.seconds;
  for (size_t first = 0; first < rest.size();) {
    std::vector<std::string> texts;
    size_t end = first;
    const EmbedOptions& embed = rows[rest[first]].embed;
    while (end < rest.size() && texts.size() < kTextsAtOnce &&
           rows[rest[end]].embed.dimensions == embed.dimensions) {
      const std::vector<std::string>& more = rows[rest[end++]].texts;
      texts.insert(texts.end(), more.begin(), more.end());
    }
    LLMRUN_ASSIGN(const std::vector<Embedding> vectors, embedder.embed(texts, embed));
    std::span<const Embedding> left = vectors;
    for (; first < end; ++first) {
      const auto of_row = left.first(rows[rest[first]].texts.size());
      left = left.subspan(of_row.size());
      for (const Embedding& vector : of_row) status.prompt_tokens += vector.n_tokens;
      ++status.rows_done;
      LLMRUN_TRY(hooks.finish(rest[first], of_row));
    }
    ++status.steps;
    status.seconds =
        seconds_before +
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (!watch(status)) return make_error(ErrorCode::kInterrupted, "interrupted");
  }
  return {};
}

}  // namespace llmrun::batch
