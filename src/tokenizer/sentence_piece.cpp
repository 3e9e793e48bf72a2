// SentencePiece's BPE ("llama"): characters merge into the token of highest score; what has no
// token is spelt in bytes. The text is not split first, but a merge can only cross a border
// between two characters if some token has these two side by side, and so the text is cut at all
// other borders. That is exact, and makes most pieces words.
#include <array>
#include <bit>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "tokenizer/algorithm.h"
#include "tokenizer/characters.h"

namespace llmrun::tokenizer {
namespace {

constexpr std::string_view kSpaceMark = "\xE2\x96\x81";  // U+2581

bool begins_character(char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }

class SentencePiece final : public Algorithm {
 public:
  SentencePiece(const VocabularyData& data, const TokenStore& tokens, bool add_space_prefix)
      : tokens_(tokens), add_space_prefix_(add_space_prefix) {
    if (data.special.unk) unknown_ = static_cast<uint32_t>(*data.special.unk);
    ranks_.reserve(tokens.size());
    for (uint32_t id = 0; id < tokens.size(); ++id) {
      ranks_.push_back(rank_of(data.scores.empty() ? 0.0F : data.scores[id]));
      const std::string_view text = tokens.text(id);
      const TokenType type = tokens.type(id);
      if (type == TokenType::kControl || type == TokenType::kUnknown) continue;
      for (size_t i = 1; i < text.size(); ++i) {
        if (begins_character(text[i])) set_neighbours(text[i - 1], text[i]);
      }
    }
  }

  Result<void> check() const {
    const bool spells_bytes = tokens_.byte_token(0x80).has_value();
    if (spells_bytes || unknown_ != TokenStore::kNone) return {};
    return make_error(ErrorCode::kBadModel,
                      "the vocabulary has neither byte tokens nor an unknown token, so it cannot "
                      "spell every text");
  }

  Result<void> encode(std::string_view text, bool at_start, Scratch& scratch,
                      std::vector<TokenId>& out) const override;

  // `word` of a Rules object.
  struct Rules {
    const SentencePiece& model;
    std::string_view word;
    MergeCandidate merge(const Symbol& left, const Symbol& right) const {
      const auto id = model.tokens_.find(word.substr(left.begin, left.length + right.length));
      return id ? MergeCandidate{model.ranks_[*id], *id} : MergeCandidate{};
    }
  };

 private:
  // The higher the score, the lower the rank; the order of floats is that of their bits, turned
  // around for negative ones.
  static uint32_t rank_of(float score) {
    if (std::isnan(score)) return MergeCandidate::kNoMerge - 1;
    const auto bits = std::bit_cast<uint32_t>(score + 0.0F);
    const uint32_t ascending = (bits & 0x80000000U) != 0 ? ~bits : bits | 0x80000000U;
    return std::min(~ascending, MergeCandidate::kNoMerge - 1);
  }
  static size_t pair_index(char left, char right) {
    return static_cast<size_t>(static_cast<unsigned char>(left)) << 8U |
           static_cast<unsigned char>(right);
  }
  void set_neighbours(char left, char right) {
    const size_t pair = pair_index(left, right);
    neighbours_[pair >> 6U] |= uint64_t{1} << (pair & 63U);
  }
  bool are_neighbours(char left, char right) const {
    const size_t pair = pair_index(left, right);
    return (neighbours_[pair >> 6U] >> (pair & 63U) & 1U) != 0;
  }
  size_t end_of_word(std::string_view text, size_t begin) const {
    size_t end = begin + 1;
    while (end < text.size() &&
           (!begins_character(text[end]) || are_neighbours(text[end - 1], text[end]))) {
      ++end;
    }
    return end;
  }
  void encode_word(std::string_view word, Scratch& scratch, std::vector<TokenId>& out) const;
  void append_symbol(const Symbol& symbol, std::string_view word, std::vector<TokenId>& out) const;

  const TokenStore& tokens_;
  const bool add_space_prefix_;
  uint32_t unknown_ = TokenStore::kNone;
  std::vector<uint32_t> ranks_;  // by id
  // One bit for each (last byte of a character, first byte of the next) inside some token.
  std::array<uint64_t, 65536 / 64> neighbours_{};
};

Result<void> SentencePiece::encode(std::string_view text, bool at_start, Scratch& scratch,
                                   std::vector<TokenId>& out) const {
  const bool prefix = add_space_prefix_ && at_start;
  const bool has_mark = text.find(kSpaceMark) != std::string_view::npos;
  if (prefix || has_mark) {
    scratch.text.assign(prefix ? 1 : 0, ' ');
    for (size_t pos = 0; pos < text.size();) {
      const size_t mark = has_mark ? text.find(kSpaceMark, pos) : std::string_view::npos;
      scratch.text.append(text.substr(pos, mark - pos));
      if (mark == std::string_view::npos) break;
      scratch.text.push_back(' ');  // the mark means a space, also where a user wrote it
      pos = mark + kSpaceMark.size();
    }
    text = scratch.text;
  }
  for (size_t pos = 0; pos < text.size();) {
    const size_t end = end_of_word(text, pos);
    const std::string_view word = text.substr(pos, end - pos);
    pos = end;
    if (word.size() > kMaxWordSymbols) {
      return word_too_long();
    }
    if (word.size() > WordCache::kMaxBytes) {
      encode_word(word, scratch, out);
      continue;
    }
    const size_t slot = scratch.cache.slot(word);
    if (scratch.cache.append(slot, word, out)) continue;
    const size_t before = out.size();
    encode_word(word, scratch, out);
    scratch.cache.store(slot, word, std::span(out).subspan(before));
  }
  return {};
}

void SentencePiece::encode_word(std::string_view word, Scratch& scratch,
                                std::vector<TokenId>& out) const {
  std::vector<Symbol>& symbols = scratch.merge.symbols;
  symbols.clear();
  for (size_t pos = 0; pos < word.size();) {
    const uint32_t length = character_at(word, pos).length;
    symbols.push_back({static_cast<uint32_t>(pos), length, TokenStore::kNone});
    pos += length;
  }
  merge_word(Rules{*this, word}, scratch.merge);
  for (const Symbol& symbol : symbols) append_symbol(symbol, word, out);
}

void SentencePiece::append_symbol(const Symbol& symbol, std::string_view word,
                                  std::vector<TokenId>& out) const {
  uint32_t id = symbol.id;
  const std::string_view text = word.substr(symbol.begin, symbol.length);
  if (id == TokenStore::kNone) id = tokens_.find(text).value_or(TokenStore::kNone);
  if (id != TokenStore::kNone) {
    out.push_back(static_cast<TokenId>(id));
    return;
  }
  for (const char c : text) {
    const auto byte = tokens_.byte_token(static_cast<unsigned char>(c));
    if (byte) {
      out.push_back(static_cast<TokenId>(*byte));
    } else if (unknown_ != TokenStore::kNone) {
      out.push_back(static_cast<TokenId>(unknown_));
      return;
    }
  }
}

}  // namespace

Result<std::unique_ptr<Algorithm>> make_sentence_piece(const VocabularyData& data,
                                                       TokenStore& tokens, bool add_space_prefix) {
  auto algorithm = std::make_unique<SentencePiece>(data, tokens, add_space_prefix);
  LLMRUN_TRY(algorithm->check());
  return algorithm;
}

}  // namespace llmrun::tokenizer
