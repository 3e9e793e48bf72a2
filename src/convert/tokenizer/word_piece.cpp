// WordPiece: GGUF writes words with a mark in front and continuations without one, where
// tokenizer.json writes words plain and continuations with "##".
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "convert/tokenizer/vocabulary.h"

namespace llmrun::convert {
namespace {

constexpr std::string_view kWordMark = "\xE2\x96\x81";  // U+2581

std::string respelt(const std::string& token, const std::string& continuing) {
  if (token.starts_with(continuing)) return token.substr(continuing.size());
  const bool bracketed = token.size() > 1 && token.front() == '[' && token.back() == ']';
  return bracketed ? token : std::string(kWordMark) + token;
}

// The runtime decomposes, removes accents and lowers: other normalisers would give other ids.
Result<void> check_normaliser(const Json& tokenizer) {
  const Json* normaliser = member(tokenizer, "normalizer");
  if (normaliser == nullptr || text_of(*normaliser, "type") != "BertNormalizer") {
    return make_error(ErrorCode::kUnsupported,
                      "WordPiece without a BertNormalizer cannot be converted");
  }
  if (!flag_of(*normaliser, "lowercase", true) || !flag_of(*normaliser, "strip_accents", true)) {
    return make_error(ErrorCode::kUnsupported,
                      "WordPiece that keeps upper case or accents (a \"cased\" model) cannot be "
                      "converted: GGUF has no key for it");
  }
  return {};
}

}  // namespace

Result<void> read_word_piece(const Json& tokenizer, const TokenizerOptions& options,
                             Vocabulary& out) {
  LLMRUN_TRY(check_normaliser(tokenizer));
  const Json& model = *member(tokenizer, "model");
  const Json* texts = member(model, "vocab");
  if (texts == nullptr) return make_error(ErrorCode::kBadModel, "model.vocab is missing");
  LLMRUN_ASSIGN(const auto added, read_added_tokens(tokenizer));
  LLMRUN_TRY(fill_tokens(*texts, added, options.n_tokens, out));
  out.model = "bert";
  std::string continuing = text_of(model, "continuing_subword_prefix");
  if (continuing.empty()) continuing = "##";
  for (size_t id = 0; id < out.tokens.size(); ++id) {
    if (out.types[id] == TokenType::kNormal) out.tokens[id] = respelt(out.tokens[id], continuing);
  }
  return {};
}

}  // namespace llmrun::convert
