// SentencePiece's Unigram ("t5"): of all ways to spell the normalised text with pieces, the one
// whose log-probabilities add up to most (Kudo 2018). No piece crosses a border between characters
// that no piece has side by side, so the text is cut there; that is exact, and makes most parts
// words, whose pieces are kept.
#include <array>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/utf8.h"
#include "tokenizer/algorithm.h"
#include "tokenizer/characters.h"
#include "tokenizer/charsmap.h"
#include "tokenizer/piece_trie.h"

namespace llmrun::tokenizer {
namespace {

constexpr std::string_view kSpaceMark = "\xE2\x96\x81";  // U+2581
constexpr double kUnknownPenalty = 10.0;                 // below the least probable piece

bool begins_character(char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }

class Unigram final : public Algorithm {
 public:
  Unigram(const TokenStore& tokens, Charsmap charsmap, const VocabularyData& data,
          bool add_space_prefix)
      : tokens_(tokens),
        charsmap_(std::move(charsmap)),
        add_space_prefix_(add_space_prefix),
        remove_extra_spaces_(data.remove_extra_whitespaces.value_or(true)) {
    if (data.special.unk) unknown_ = static_cast<uint32_t>(*data.special.unk);
  }

  Result<void> init(const VocabularyData& data);
  Result<void> encode(std::string_view text, bool at_start, Scratch& scratch,
                      std::vector<TokenId>& out) const override;

 private:
  // The best spelling of what stands before a place in the word.
  struct Place {
    double score = -std::numeric_limits<double>::infinity();
    uint32_t id = TokenStore::kNone;  // of its last piece; kNone: a character without a piece
    uint32_t length = 0;              // of its last piece
  };

  Result<void> normalise(std::string_view text, bool prefix, std::string& out) const;
  [[nodiscard]] size_t end_of_word(std::string_view text, size_t begin) const;
  void encode_word(std::string_view word, std::vector<TokenId>& out) const;
  void append_unknown(std::string_view character, std::vector<TokenId>& out) const;
  void append_word(std::span<const TokenId> ids, std::vector<TokenId>& out) const;

  static size_t pair_index(char left, char right) {
    return static_cast<size_t>(static_cast<unsigned char>(left)) << 8U |
           static_cast<unsigned char>(right);
  }

  const TokenStore& tokens_;
  const Charsmap charsmap_;
  const bool add_space_prefix_;
  const bool remove_extra_spaces_;
  uint32_t unknown_ = TokenStore::kNone;
  double unknown_score_ = 0;
  std::vector<float> scores_;  // by id
  PieceTrie pieces_;
  // One bit for each (last byte of a character, first byte of the next) inside some piece.
  std::array<uint64_t, 65536 / 64> neighbours_{};
};

Result<void> Unigram::init(const VocabularyData& data) {
  scores_.assign(data.scores.begin(), data.scores.end());
  scores_.resize(tokens_.size());
  std::vector<std::pair<std::string_view, uint32_t>> pieces;
  double lowest = 0;
  for (uint32_t id = 0; id < tokens_.size(); ++id) {
    const std::string_view text = tokens_.text(id);
    if (tokens_.type(id) != TokenType::kNormal || text.empty() || !std::isfinite(scores_[id])) {
      continue;
    }
    if (text.size() > kMaxMatchedBytes) {
      return make_error(ErrorCode::kBadModel,
                        "token {} has {} bytes; a piece of this kind of tokenizer may have {}", id,
                        text.size(), kMaxMatchedBytes);
    }
    pieces.emplace_back(text, id);
    lowest = std::min(lowest, static_cast<double>(scores_[id]));
    for (size_t i = 1; i < text.size(); ++i) {
      if (!begins_character(text[i])) continue;
      const size_t pair = pair_index(text[i - 1], text[i]);
      neighbours_[pair >> 6U] |= uint64_t{1} << (pair & 63U);
    }
  }
  unknown_score_ = lowest - kUnknownPenalty;
  pieces_ = PieceTrie(std::move(pieces));
  if (tokens_.byte_token(0x80) || unknown_ != TokenStore::kNone) return {};
  return make_error(ErrorCode::kBadModel,
                    "the vocabulary has neither byte tokens nor an unknown token, so it cannot "
                    "spell every text");
}

// Replaces what the map says, joins white space and marks the start, as SentencePiece does. Spaces
// are kept as spaces; the store has the marks of its tokens replaced alike.
Result<void> Unigram::normalise(std::string_view text, bool prefix, std::string& out) const {
  out.clear();
  bool after_space = remove_extra_spaces_;
  for (size_t pos = 0; pos < text.size();) {
    LLMRUN_ASSIGN(const std::optional<Charsmap::Match> match, charsmap_.find(text, pos));
    std::string_view part;
    if (match) {
      part = match->replacement;
      pos += match->length;
    } else {
      const Character c = character_at(text, pos);
      const bool invalid = c.length == 1 && c.code == utf8::kReplacement;
      part = invalid ? std::string_view("\xEF\xBF\xBD") : text.substr(pos, c.length);
      pos += c.length;
    }
    while (after_space && part.starts_with(' ')) part.remove_prefix(1);
    if (part.empty()) continue;
    if (out.empty() && prefix) out.push_back(' ');
    after_space = remove_extra_spaces_ && part.back() == ' ';
    if (part == kSpaceMark) part = " ";  // the mark means a space, also where a user wrote it
    out.append(part);
    if (out.size() > kMaxTextBytes) {
      return make_error(ErrorCode::kUsage, "the text grows to more than {} bytes when normalised",
                        kMaxTextBytes);
    }
  }
  while (remove_extra_spaces_ && out.ends_with(' ')) out.pop_back();
  return {};
}

size_t Unigram::end_of_word(std::string_view text, size_t begin) const {
  size_t end = begin + 1;
  for (; end < text.size(); ++end) {
    if (!begins_character(text[end])) continue;
    const size_t pair = pair_index(text[end - 1], text[end]);
    if ((neighbours_[pair >> 6U] >> (pair & 63U) & 1U) == 0) break;
  }
  return end;
}

Result<void> Unigram::encode(std::string_view text, bool at_start, Scratch& scratch,
                             std::vector<TokenId>& out) const {
  LLMRUN_TRY(normalise(text, add_space_prefix_ && at_start, scratch.text));
  text = scratch.text;
  std::vector<TokenId> ids;
  for (size_t pos = 0; pos < text.size();) {
    const size_t end = end_of_word(text, pos);
    const std::string_view word = text.substr(pos, end - pos);
    pos = end;
    if (word.size() > kMaxWordSymbols) {
      return word_too_long();
    }
    ids.clear();
    if (word.size() > WordCache::kMaxBytes) {
      encode_word(word, ids);
    } else if (const size_t slot = scratch.cache.slot(word);
               !scratch.cache.append(slot, word, ids)) {
      encode_word(word, ids);
      scratch.cache.store(slot, word, ids);
    }
    append_word(ids, out);
  }
  return {};
}

void Unigram::encode_word(std::string_view word, std::vector<TokenId>& out) const {
  std::vector<Place> places(word.size() + 1);
  places[0].score = 0;
  for (size_t begin = 0; begin < word.size();) {
    const size_t length = character_at(word, begin).length;
    bool has_character = false;
    const double before = places[begin].score;
    const auto consider = [&](size_t n, uint32_t id, double score) {
      Place& place = places[begin + n];
      if (before + score <= place.score) return;
      place = {before + score, id, static_cast<uint32_t>(n)};
    };
    pieces_.match(word.substr(begin), [&](size_t n, uint32_t id) {
      has_character = has_character || n == length;
      consider(n, id, static_cast<double>(scores_[id]));
    });
    if (!has_character) consider(length, TokenStore::kNone, unknown_score_);
    begin += length;
  }
  std::vector<std::pair<size_t, uint32_t>> path;  // ends and ids, last first
  for (size_t end = word.size(); end > 0; end -= places[end].length) {
    path.emplace_back(end, places[end].id);
  }
  for (auto piece = path.rbegin(); piece != path.rend(); ++piece) {
    const auto [end, id] = *piece;
    if (id != TokenStore::kNone) {
      out.push_back(static_cast<TokenId>(id));
    } else {
      append_unknown(word.substr(end - places[end].length, places[end].length), out);
    }
  }
}

void Unigram::append_unknown(std::string_view character, std::vector<TokenId>& out) const {
  const size_t first = out.size();
  for (const char c : character) {
    const auto byte = tokens_.byte_token(static_cast<unsigned char>(c));
    if (!byte) {
      out.resize(first);
      if (unknown_ != TokenStore::kNone) out.push_back(static_cast<TokenId>(unknown_));
      return;
    }
    out.push_back(static_cast<TokenId>(*byte));
  }
}

// Unknown characters side by side are one unknown token.
void Unigram::append_word(std::span<const TokenId> ids, std::vector<TokenId>& out) const {
  const auto unknown = static_cast<TokenId>(unknown_);
  for (const TokenId id : ids) {
    if (id == unknown && unknown_ != TokenStore::kNone && !out.empty() && out.back() == unknown) {
      continue;
    }
    out.push_back(id);
  }
}

}  // namespace

Result<std::unique_ptr<Algorithm>> make_unigram(const VocabularyData& data, TokenStore& tokens,
                                                bool add_space_prefix) {
  LLMRUN_ASSIGN(Charsmap charsmap, Charsmap::parse(data.precompiled_charsmap));
  auto algorithm = std::make_unique<Unigram>(tokens, std::move(charsmap), data, add_space_prefix);
  LLMRUN_TRY(algorithm->init(data));
  return algorithm;
}

}  // namespace llmrun::tokenizer
