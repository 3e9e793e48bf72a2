// Texts to vectors, and documents in the order in which they answer a query.
//
//   auto embedder = llmrun::Embedder::open(model).value();
//   auto vectors = embedder.embed(texts).value();
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "llmrun/embedding_options.h"  // IWYU pragma: export
#include "llmrun/error.h"
#include "llmrun/export.h"
#include "llmrun/model.h"

namespace llmrun {

LLMRUN_API std::string_view to_string(Pooling pooling);  // "none", "mean", "cls", "last", "rank"

struct Embedding {
  int64_t dimensions = 0;
  std::vector<float> values;   // one row of `dimensions`; with Pooling::kNone one per token
  int64_t n_tokens = 0;        // that were read
  int64_t dropped_tokens = 0;  // that EmbedOptions::truncate cut off
};

struct RankedDocument {
  int64_t index = 0;  // among the documents as they were given
  double score = 0;   // higher: answers the query better
  int64_t n_tokens = 0;
  int64_t dropped_tokens = 0;
};

// A text has the same vector, bit for bit, alone and among others.
class LLMRUN_API Embedder {
 public:
  // Allocates everything the embedder will ever need, or says kOutOfMemory now. The pooling that
  // the model recommends is taken unless the options name one; kUsage when neither does.
  static Result<Embedder> open(const Model& model, const EmbedderOptions& options = {});
  Embedder(Embedder&&) noexcept;
  Embedder& operator=(Embedder&&) noexcept;
  ~Embedder();

  // In the order of the texts, many of which are read in one pass. A text of more than max_tokens()
  // tokens is kContextOverflow with both numbers, unless the options allow to cut it; then nothing
  // was read yet.
  Result<std::vector<Embedding>> embed(std::span<const std::string> texts,
                                       const EmbedOptions& options = {});
  // The same, each vector as soon as it is there. An error of the callback ends it.
  using EmbeddingCallback = std::function<Result<void>(int64_t index, Embedding embedding)>;
  Result<void> embed(std::span<const std::string> texts, const EmbedOptions& options,
                     const EmbeddingCallback& on_embedding);
  // Best first. Only with Pooling::kRank; `truncate` cuts documents, never the query.
  Result<std::vector<RankedDocument>> rank(std::string_view query,
                                           std::span<const std::string> documents,
                                           bool truncate = false);

  [[nodiscard]] Pooling pooling() const;
  [[nodiscard]] int64_t dimensions() const;  // of a vector
  [[nodiscard]] int64_t max_tokens() const;  // of a text, or of a query with a document
  [[nodiscard]] const MemoryEstimate& memory() const;

 private:
  friend struct Access;
  struct Impl;
  explicit Embedder(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace llmrun
