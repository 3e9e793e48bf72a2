// What is behind an Embedder.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "api/model_impl.h"
#include "llmrun/embedder.h"
#include "runtime/model.h"

namespace llmrun {

// The tokens of a text, or of a query and a document, as the model reads them.
struct EmbedText {
  std::vector<TokenId> tokens;
  int64_t second_text = INT64_MAX;  // where the document begins
  int64_t dropped = 0;
};

struct Embedder::Impl {
  std::shared_ptr<ModelImpl> model;
  std::unique_ptr<runtime::Context> context;
  Pooling pooling = Pooling::kMean;
  int64_t width = 0;
  MemoryEstimate memory;

  [[nodiscard]] int64_t max_tokens() const { return context->options().context_tokens; }
  // Reads all texts in as few passes as their tokens allow; calls use(text, rows) in their order.
  template <typename Use>
  Result<void> for_each(std::span<const EmbedText> texts, const Use& use);
  [[nodiscard]] Result<EmbedText> tokenize(std::string_view text, size_t index,
                                           bool truncate) const;
  [[nodiscard]] Result<EmbedText> tokenize_pair(std::string_view query, std::string_view document,
                                                size_t index, bool truncate) const;
};

// The error of a text that does not fit; `what` is "text 3" or "document 3 with the query".
tl::unexpected<Error> too_long(std::string_view what, size_t n_tokens, int64_t max_tokens);

template <typename Use>
Result<void> Embedder::Impl::for_each(std::span<const EmbedText> texts, const Use& use) {
  const runtime::ContextOptions& options = context->options();
  std::vector<runtime::EmbedInput> inputs;
  for (size_t first = 0; first < texts.size(); first += inputs.size()) {
    inputs.clear();
    int64_t room = options.batch_tokens;
    for (size_t i = first; i < texts.size(); ++i) {
      room -= static_cast<int64_t>(texts[i].tokens.size());
      if (room < 0 || static_cast<int64_t>(inputs.size()) == options.max_sequences) break;
      inputs.push_back({texts[i].tokens, texts[i].second_text});
    }
    LLMRUN_ASSIGN(const runtime::Embeddings rows, context->embed(inputs));
    const float* data = rows.data;
    for (size_t i = 0; i < inputs.size(); ++i) {
      const auto n_tokens = static_cast<int64_t>(inputs[i].tokens.size());
      const int64_t n_rows = pooling == Pooling::kNone ? n_tokens : 1;
      const auto n_values = static_cast<size_t>(n_rows * rows.width);
      LLMRUN_TRY(use(texts[first + i], std::span<const float>(data, n_values)));
      data += n_values;
    }
  }
  return {};
}

}  // namespace llmrun
