// Embedder: texts are tokenised, read many at a time, and their vectors cut and normalised.
#include "llmrun/embedder.h"

#include <algorithm>
#include <cmath>

#include "api/embedder_impl.h"
#include "api/open_file.h"
#include "base/error.h"

namespace llmrun {
namespace {

// Texts of one pass; what one more costs is a row of the result and half a page of keys.
constexpr int64_t kMaxTexts = 64;

Result<void> check_dimensions(int64_t wanted, int64_t available) {
  if (wanted >= 0 && wanted <= available) return {};
  return make_error(ErrorCode::kUsage,
                    "{} dimensions cannot be had: the vectors of this model have {}.", wanted,
                    available);
}

// The first `dimensions` values of every row, each row of length 1 if wanted.
Result<std::vector<float>> finish(std::span<const float> rows, size_t width, size_t dimensions,
                                  bool normalize) {
  std::vector<float> values;
  values.reserve(rows.size() / width * dimensions);
  for (size_t first = 0; first < rows.size(); first += width) {
    const auto row = rows.subspan(first, dimensions);
    double square = 0;
    for (const float value : row) square += static_cast<double>(value) * static_cast<double>(value);
    if (!std::isfinite(square)) {
      return make_error(ErrorCode::kBadModel,
                        "The model gave a vector with values that are no numbers; its weights are "
                        "damaged (llmrun doctor MODEL looks at them).");
    }
    const double scale = normalize && square > 0 ? 1.0 / std::sqrt(square) : 1.0;
    for (const float value : row) {
      values.push_back(static_cast<float>(static_cast<double>(value) * scale));
    }
  }
  return values;
}

}  // namespace

Result<runtime::ContextOptions> embedder_context(const EmbedderOptions& options,
                                                 const runtime::ModelSpec& spec) {
  runtime::ContextOptions wanted;
  wanted.pooling = options.pooling ? options.pooling : spec.embedding_head.pooling;
  if (!wanted.pooling) {
    return make_error(ErrorCode::kUsage,
                      "The model does not say how the vector of a text is made ({}.pooling_type): "
                      "name one of mean, cls, last, none (--pooling).",
                      spec.architecture);
  }
  wanted.context_tokens = options.max_tokens > 0
                              ? options.max_tokens
                              : std::min(spec.context_length, kDefaultContextTokens);
  if (wanted.context_tokens > spec.context_length) {
    return make_error(ErrorCode::kUsage,
                      "Texts of {} tokens are longer than the {} that this model was made for.",
                      wanted.context_tokens, spec.context_length);
  }
  wanted.batch_tokens = std::max(options.batch_tokens, wanted.context_tokens);
  wanted.max_sequences = std::min(kMaxTexts, wanted.batch_tokens);
  // Keys and values live for one layer of one pass: there is no reason to round them.
  wanted.k_type = wanted.v_type = kernels::CacheType::kF32;
  return wanted;
}

std::string_view to_string(Pooling pooling) {
  constexpr std::string_view kNames[] = {"none", "mean", "cls", "last", "rank"};
  return kNames[static_cast<size_t>(pooling)];
}

tl::unexpected<Error> too_long(std::string_view what, size_t n_tokens, int64_t max_tokens) {
  return make_error(ErrorCode::kContextOverflow,
                    "{} has {} tokens, but at most {} can be read at once. Shorten it, split it, "
                    "or allow that it is cut (--truncate).",
                    what, n_tokens, max_tokens);
}

Embedder::Embedder(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Embedder::Embedder(Embedder&&) noexcept = default;
Embedder& Embedder::operator=(Embedder&&) noexcept = default;
Embedder::~Embedder() = default;

Result<Embedder> Embedder::open(const Model& model, const EmbedderOptions& options) {
  auto impl = std::make_unique<Impl>();
  impl->model = Access::share(model);
  LLMRUN_ASSIGN(runtime::Model * weights, impl->model->need_weights());
  LLMRUN_TRY(impl->model->need_tokenizer());
  const runtime::ModelSpec& spec = weights->spec();
  LLMRUN_ASSIGN(auto wanted, embedder_context(options, spec));
  impl->pooling = *wanted.pooling;
  LLMRUN_ASSIGN(impl->memory,
                estimate(impl->model->file, *weights, wanted, impl->model->vocabulary_bytes));
  LLMRUN_ASSIGN(wanted.commit, must_commit(impl->memory));
  LLMRUN_ASSIGN(impl->context, weights->new_context(wanted));
  impl->width = runtime::pooled_width(spec, impl->pooling);
  return Embedder(std::move(impl));
}

Pooling Embedder::pooling() const { return impl_->pooling; }
int64_t Embedder::dimensions() const { return impl_->width; }
int64_t Embedder::max_tokens() const { return impl_->max_tokens(); }
const MemoryEstimate& Embedder::memory() const { return impl_->memory; }

Result<EmbedText> Embedder::Impl::tokenize(std::string_view text, size_t index,
                                           bool truncate) const {
  const tokenizer::Tokenizer& tokenizer = *model->tokenizer;
  EmbedText result;
  LLMRUN_ASSIGN(result.tokens, tokenizer.encode(text, {true, false}));
  std::vector<TokenId>& tokens = result.tokens;
  if (tokens.empty()) {
    return make_error(ErrorCode::kUsage, "Text {} is empty: it has no tokens to make a vector of.",
                      index + 1);
  }
  const auto most = static_cast<size_t>(max_tokens());
  if (tokens.size() <= most) return result;
  if (!truncate) return too_long(fmt::format("Text {}", index + 1), tokens.size(), max_tokens());
  result.dropped = static_cast<int64_t>(tokens.size() - most);
  const TokenId last = tokens.back();
  tokens.resize(most);
  if (tokenizer.adds_eos()) tokens.back() = last;  // the text still ends as the model knows it
  return result;
}

Result<std::vector<Embedding>> Embedder::embed(std::span<const std::string> texts,
                                               const EmbedOptions& options) {
  std::vector<Embedding> embeddings;
  embeddings.reserve(texts.size());
  LLMRUN_TRY(embed(texts, options, [&](int64_t, Embedding embedding) -> Result<void> {
    embeddings.push_back(std::move(embedding));
    return {};
  }));
  return embeddings;
}

Result<void> Embedder::embed(std::span<const std::string> texts, const EmbedOptions& options,
                             const EmbeddingCallback& on_embedding) {
  if (impl_->pooling == Pooling::kRank) {
    return make_error(ErrorCode::kUsage,
                      "This model scores documents for a query (llmrun rerank); to have vectors of "
                      "it name a pooling: mean, cls, last or none.");
  }
  LLMRUN_TRY(check_dimensions(options.dimensions, impl_->width));
  const int64_t dimensions = options.dimensions > 0 ? options.dimensions : impl_->width;
  std::vector<EmbedText> inputs;
  inputs.reserve(texts.size());
  for (const std::string& text : texts) {
    LLMRUN_ASSIGN(EmbedText input, impl_->tokenize(text, inputs.size(), options.truncate));
    inputs.push_back(std::move(input));
  }
  int64_t index = 0;
  return impl_->for_each(
      inputs, [&](const EmbedText& text, std::span<const float> rows) -> Result<void> {
        Embedding embedding;
        embedding.dimensions = dimensions;
        LLMRUN_ASSIGN(embedding.values, finish(rows, static_cast<size_t>(impl_->width),
                                               static_cast<size_t>(dimensions), options.normalize));
        embedding.n_tokens = static_cast<int64_t>(text.tokens.size());
        embedding.dropped_tokens = text.dropped;
        return on_embedding(index++, std::move(embedding));
      });
}

}  // namespace llmrun
