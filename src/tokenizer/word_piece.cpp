// WordPiece ("bert"): the text is normalised (decomposed, accents and controls removed, lower
// case) and cut at white space and punctuation; each word is spelt by the longest tokens, from the
// left. A word that cannot be spelt is one unknown token. Devlin et al. 2018.
#include <utf8proc.h>

#include <algorithm>
#include <string>

#include "base/error.h"
#include "base/utf8.h"
#include "tokenizer/algorithm.h"
#include "tokenizer/characters.h"

namespace llmrun::tokenizer {
namespace {

// The blocks of Chinese characters, as BERT counts them; each such character is a word.
bool is_cjk(uint32_t code) {
  return (code >= 0x4E00 && code <= 0x9FFF) || (code >= 0x3400 && code <= 0x4DBF) ||
         (code >= 0x20000 && code <= 0x2A6DF) || (code >= 0x2A700 && code <= 0x2B73F) ||
         (code >= 0x2B740 && code <= 0x2B81F) || (code >= 0x2B820 && code <= 0x2CEAF) ||
         (code >= 0xF900 && code <= 0xFAFF) || (code >= 0x2F800 && code <= 0x2FA1F);
}

// All ASCII symbols count as punctuation.
bool is_punctuation(const Character& c) {
  return (c.classes & kPunctuation) != 0 || (c.code < 0x80 && (c.classes & kSymbol) != 0);
}

class WordPiece final : public Algorithm {
 public:
  WordPiece(const TokenStore& tokens, TokenId unknown) : tokens_(tokens), unknown_(unknown) {
    for (uint32_t id = 0; id < tokens.size(); ++id) {
      if (tokens.type(id) != TokenType::kControl) {
        longest_ = std::max(longest_, tokens.text(id).size());
      }
    }
  }

  Result<void> encode(std::string_view text, bool /*at_start*/, Scratch& scratch,
                      std::vector<TokenId>& out) const override {
    std::string& word = scratch.text;
    word.assign(" ");  // words are looked up with a space in front, continuations without
    const auto end_word = [&] {
      if (word.size() > 1) encode_word(word, out);
      word.assign(" ");
    };
    for (size_t pos = 0; pos < text.size();) {
      const Character c = character_at(text, pos);
      pos += c.length;
      if ((c.classes & kSpace) != 0) {
        end_word();
        continue;
      }
      if (c.code == 0 || c.code == utf8::kReplacement || (c.classes & kControl) != 0) continue;
      const bool stands_alone = is_punctuation(c) || is_cjk(c.code);
      if (stands_alone) end_word();
      append_normalised(c.code, word);
      if (stands_alone) end_word();
    }
    end_word();
    return {};
  }

 private:
  static void append_normalised(uint32_t code, std::string& word);
  void encode_word(std::string_view word, std::vector<TokenId>& out) const;

  const TokenStore& tokens_;
  const TokenId unknown_;
  size_t longest_ = 0;  // bytes of a token
};

void WordPiece::append_normalised(uint32_t code, std::string& word) {
  if (code < 0x80) {
    const bool is_upper = code >= 'A' && code <= 'Z';
    word.push_back(static_cast<char>(is_upper ? code + ('a' - 'A') : code));
    return;
  }
  utf8proc_int32_t parts[16];
  int last_boundclass = 0;
  const utf8proc_ssize_t count = utf8proc_decompose_char(static_cast<utf8proc_int32_t>(code), parts,
                                                         16, UTF8PROC_DECOMPOSE, &last_boundclass);
  for (utf8proc_ssize_t i = 0; i < std::min<utf8proc_ssize_t>(count, 16); ++i) {
    if ((classes_of(static_cast<uint32_t>(parts[i])) & kNonSpacingMark) != 0) continue;
    utf8::append(word, static_cast<uint32_t>(utf8proc_tolower(parts[i])));
  }
}

void WordPiece::encode_word(std::string_view word, std::vector<TokenId>& out) const {
  const size_t before = out.size();
  for (size_t pos = 0; pos < word.size();) {
    size_t length = std::min(word.size() - pos, longest_);
    std::optional<uint32_t> token;
    while (length > 0 && !(token = tokens_.find(word.substr(pos, length)))) --length;
    if (!token) {
      out.resize(before);
      out.push_back(unknown_);
      return;
    }
    out.push_back(static_cast<TokenId>(*token));
    pos += length;
  }
}

}  // namespace

Result<std::unique_ptr<Algorithm>> make_word_piece(const VocabularyData& data, TokenStore& tokens) {
  constexpr TokenId kDefaultUnknown = 100;  // of BERT's vocabularies
  const TokenId unknown = data.special.unk.value_or(kDefaultUnknown);
  if (unknown < 0 || static_cast<size_t>(unknown) >= tokens.size()) {
    return make_error(ErrorCode::kBadModel,
                      "the vocabulary has no unknown token (tokenizer.ggml.unknown_token_id)");
  }
  return std::make_unique<WordPiece>(tokens, unknown);
}

}  // namespace llmrun::tokenizer
