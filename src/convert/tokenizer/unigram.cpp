// Unigram, SentencePiece's other kind (T5, XLM-R): pieces with log-probabilities, and a normaliser
// that comes compiled.
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "convert/limits.h"
#include "convert/tokenizer/vocabulary.h"

namespace llmrun::convert {
namespace {

int value_of(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+') return 62;
  return c == '/' ? 63 : -1;
}

Result<std::string> from_base64(const std::string& text) {
  std::string bytes;
  unsigned bits = 0;
  int n_bits = 0;
  for (const char c : text) {
    if (c == '=') break;
    const int value = value_of(c);
    if (value < 0) {
      return make_error(ErrorCode::kBadModel, "the precompiled_charsmap is no base64");
    }
    bits = (bits << 6U | static_cast<unsigned>(value)) & 0xFFFFU;
    n_bits += 6;
    if (n_bits < 8) continue;
    n_bits -= 8;
    bytes.push_back(static_cast<char>(bits >> static_cast<unsigned>(n_bits) & 0xFFU));
  }
  return bytes;
}

// Of the normaliser's steps: the compiled one is carried over, cleaning of spaces becomes a flag.
Result<void> read_normaliser(const Json& tokenizer, Vocabulary& out) {
  out.remove_extra_whitespaces = false;
  for (const Json* step : steps_of(member(tokenizer, "normalizer"), "normalizers")) {
    const std::string type = text_of(*step, "type");
    if (type == "Precompiled") {
      LLMRUN_ASSIGN(out.charsmap, from_base64(text_of(*step, "precompiled_charsmap")));
    } else if (type == "Replace" || type == "Strip") {
      out.remove_extra_whitespaces = true;  // " {2,}" → " " is the only replacement there is
    } else if (type != "Nmt" && type != "NFKC") {
      return make_error(ErrorCode::kUnsupported,
                        "Unigram with the normaliser \"{}\" cannot be converted",
                        type.substr(0, 64));
    }
  }
  return {};
}

Result<void> read_pieces(const Json& pieces, Vocabulary& out) {
  if (!pieces.is_array() || pieces.size() > static_cast<size_t>(kMaxTokenIds)) {
    return make_error(ErrorCode::kBadModel, "model.vocab is no list of pieces with scores");
  }
  for (const Json& piece : pieces) {
    const bool is_pair =
        piece.is_array() && piece.size() == 2 && piece[0].is_string() && piece[1].is_number();
    if (!is_pair) return make_error(ErrorCode::kBadModel, "a piece of model.vocab has no score");
    out.tokens.push_back(piece[0].get<std::string>());
    out.scores.push_back(piece[1].get<float>());
    out.types.push_back(TokenType::kNormal);
  }
  return {};
}

}  // namespace

Result<void> read_unigram(const Json& tokenizer, const TokenizerOptions& options, Vocabulary& out) {
  const Json& model = *member(tokenizer, "model");
  const Json* pieces = member(model, "vocab");
  if (pieces == nullptr) return make_error(ErrorCode::kBadModel, "model.vocab is missing");
  out.model = "t5";
  out.pre = "default";
  LLMRUN_TRY(read_pieces(*pieces, out));
  LLMRUN_TRY(read_normaliser(tokenizer, out));
  LLMRUN_ASSIGN(const auto added, read_added_tokens(tokenizer));
  LLMRUN_TRY(place_added_tokens(added, options.n_tokens, out));
  out.scores.resize(out.tokens.size());
  const Json* unknown = member(model, "unk_id");
  if (unknown != nullptr && unknown->is_number_unsigned() &&
      unknown->get<uint64_t>() < out.tokens.size()) {
    out.ids["unknown"] = unknown->get<int64_t>();
    out.types[unknown->get<size_t>()] = TokenType::kUnknown;
  }
  out.add_space_prefix = true;
  for (const Json* step : steps_of(member(tokenizer, "pre_tokenizer"), "pretokenizers")) {
    if (text_of(*step, "type") != "Metaspace") continue;
    const std::string scheme = text_of(*step, "prepend_scheme");
    out.add_space_prefix =
        scheme.empty() ? flag_of(*step, "add_prefix_space", true) : scheme != "never";
  }
  return {};
}

}  // namespace llmrun::convert
