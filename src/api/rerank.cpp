// Embedder::rank: query and document are put together as the model was trained to see them, read,
// and scored by the model's classifier.
#include <algorithm>
#include <cmath>

#include "api/embedder_impl.h"
#include "base/error.h"

namespace llmrun {
namespace {

// The text in which decoders see a query and a document, with "{query}" and "{document}".
constexpr std::string_view kTemplateKey = "tokenizer.chat_template.rerank";

// What the template makes of query and document, which are not trusted to hold special tokens.
std::vector<tokenizer::Piece> fill_in(std::string_view pattern, std::string_view query,
                                      std::string_view document) {
  const std::pair<std::string_view, std::string_view> names[] = {{"{query}", query},
                                                                 {"{document}", document}};
  std::vector<tokenizer::Piece> pieces;
  while (!pattern.empty()) {
    size_t at = pattern.size();
    const std::pair<std::string_view, std::string_view>* next = nullptr;
    for (const auto& name : names) {
      const size_t found = pattern.find(name.first);
      if (found < at) {
        at = found;
        next = &name;
      }
    }
    pieces.push_back({pattern.substr(0, at), true});
    if (next == nullptr) break;
    pieces.push_back({next->second, false});
    pattern.remove_prefix(at + next->first.size());
  }
  return pieces;
}

// The beginning of the document that makes the whole at least `excess` tokens shorter.
Result<std::string> shortened(const tokenizer::Tokenizer& tokenizer, std::string_view document,
                              size_t excess) {
  LLMRUN_ASSIGN(std::vector<TokenId> tokens, tokenizer.encode(document, {false, false}));
  tokens.resize(tokens.size() > excess ? tokens.size() - excess : 0);
  return tokenizer.decode(tokens, true);
}

Result<EmbedText> with_template(const tokenizer::Tokenizer& tokenizer, const std::string& pattern,
                                std::string_view query, std::string document, size_t most,
                                bool truncate) {
  EmbedText pair;
  for (size_t whole = 0;;) {
    LLMRUN_ASSIGN(
        pair.tokens,
        tokenizer.encode(std::span<const tokenizer::Piece>(fill_in(pattern, query, document)),
                         {true, true}));
    whole = std::max(whole, pair.tokens.size());
    pair.dropped = static_cast<int64_t>(whole - pair.tokens.size());
    if (pair.tokens.size() <= most || !truncate || document.empty()) return pair;
    LLMRUN_ASSIGN(document, shortened(tokenizer, document, pair.tokens.size() - most));
  }
}

// "[CLS] query [SEP] document [SEP]"; "<s> query </s> </s> document </s>" without WordPiece.
Result<EmbedText> with_separators(const tokenizer::Tokenizer& tokenizer, std::string_view query,
                                  std::string_view document, size_t most, bool truncate) {
  const tokenizer::SpecialIds& ids = tokenizer.special();
  const bool is_word_piece = tokenizer.model_name() == "bert";
  const std::optional<TokenId> end = is_word_piece ? ids.sep : ids.eos;
  EmbedText pair;
  std::vector<TokenId>& tokens = pair.tokens;
  if (ids.bos) tokens.push_back(*ids.bos);
  LLMRUN_ASSIGN(const std::vector<TokenId> first, tokenizer.encode(query, {false, false}));
  LLMRUN_ASSIGN(std::vector<TokenId> second, tokenizer.encode(document, {false, false}));
  tokens.insert(tokens.end(), first.begin(), first.end());
  if (end) tokens.push_back(*end);
  if (!is_word_piece && end) tokens.push_back(ids.sep.value_or(*end));
  pair.second_text = static_cast<int64_t>(tokens.size());
  const size_t others = tokens.size() + (end ? 1 : 0);
  if (truncate && others < most && others + second.size() > most) {
    pair.dropped = static_cast<int64_t>(others + second.size() - most);
    second.resize(most - others);
  }
  tokens.insert(tokens.end(), second.begin(), second.end());
  if (end) tokens.push_back(*end);
  return pair;
}

// One label: its logit. Two: the probability of the first, "yes".
double score_of(std::span<const float> labels) {
  if (labels.size() == 1) return static_cast<double>(labels[0]);
  return 1.0 / (1.0 + std::exp(static_cast<double>(labels[1]) - static_cast<double>(labels[0])));
}

}  // namespace

Result<EmbedText> Embedder::Impl::tokenize_pair(std::string_view query, std::string_view document,
                                                size_t index, bool truncate) const {
  const auto most = static_cast<size_t>(max_tokens());
  const std::string pattern =
      model->file.metadata().get_or<std::string>(kTemplateKey, std::string()).value_or("");
  const tokenizer::Tokenizer& tokenizer = *model->tokenizer;
  LLMRUN_ASSIGN(EmbedText pair, pattern.empty()
                                    ? with_separators(tokenizer, query, document, most, truncate)
                                    : with_template(tokenizer, pattern, query,
                                                    std::string(document), most, truncate));
  if (pair.tokens.size() <= most && !pair.tokens.empty()) return pair;
  return too_long(fmt::format("Document {} with the query", index + 1), pair.tokens.size(),
                  max_tokens());
}

Result<std::vector<RankedDocument>> Embedder::rank(std::string_view query,
                                                   std::span<const std::string> documents,
                                                   bool truncate) {
  if (impl_->pooling != Pooling::kRank) {
    return make_error(ErrorCode::kUsage, "This embedder was opened for vectors, not for scores.");
  }
  if (impl_->width > 2) {
    return make_error(ErrorCode::kUnsupported,
                      "The model's classifier has {} labels: it sorts texts into classes and "
                      "cannot rank them.",
                      impl_->width);
  }
  std::vector<EmbedText> pairs;
  for (const std::string& document : documents) {
    LLMRUN_ASSIGN(EmbedText pair, impl_->tokenize_pair(query, document, pairs.size(), truncate));
    pairs.push_back(std::move(pair));
  }
  std::vector<RankedDocument> ranked;
  LLMRUN_TRY(impl_->for_each(
      pairs, [&](const EmbedText& pair, std::span<const float> labels) -> Result<void> {
        const double score = score_of(labels);
        if (!std::isfinite(score)) {
          return make_error(ErrorCode::kBadModel,
                            "The model gave a score that is no number; its weights are damaged.");
        }
        ranked.push_back({static_cast<int64_t>(ranked.size()), score,
                          static_cast<int64_t>(pair.tokens.size()), pair.dropped});
        return {};
      }));
  std::stable_sort(ranked.begin(), ranked.end(),
                   [](const auto& a, const auto& b) { return a.score > b.score; });
  return ranked;
}

}  // namespace llmrun
