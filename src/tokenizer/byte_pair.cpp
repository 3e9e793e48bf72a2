// Byte-level BPE ("gpt2"): a splitter cuts the text into words, each word begins as single bytes,
// and the merges of the vocabulary join them. Sennrich et al. 2016; Radford et al. 2019.
#include <array>

#include "base/error.h"
#include "tokenizer/algorithm.h"
#include "tokenizer/byte_alphabet.h"
#include "tokenizer/pre_tokenizer.h"

namespace llmrun::tokenizer {
namespace {

class BytePair final : public Algorithm {
 public:
  BytePair(const TokenStore& tokens, const PreTokenizer& pre) : tokens_(tokens), pre_(pre) {
    for (unsigned byte = 0; byte < 256; ++byte) {
      bytes_[byte] =
          tokens.byte_token(static_cast<unsigned char>(byte)).value_or(TokenStore::kNone);
    }
  }

  Result<void> read_merges(const VocabularyData& data, TokenStore& tokens);

  Result<void> encode(std::string_view text, bool /*at_start*/, Scratch& scratch,
                      std::vector<TokenId>& out) const override {
    bool too_long = false;
    split_words(pre_, text, [&](std::string_view word) {
      if (word.size() > WordCache::kMaxBytes) {
        if (word.size() > kMaxWordSymbols) {
          too_long = true;
        } else {
          encode_word(word, scratch, out);
        }
        return;
      }
      const size_t slot = scratch.cache.slot(word);
      if (scratch.cache.append(slot, word, out)) return;
      const size_t before = out.size();
      encode_word(word, scratch, out);
      scratch.cache.store(slot, word, std::span(out).subspan(before));
    });
    if (too_long) {
      return word_too_long();
    }
    return {};
  }

  MergeCandidate merge(const Symbol& left, const Symbol& right) const {
    const PairTable::Merge* found = merges_.find(left.id, right.id);
    return found == nullptr ? MergeCandidate{} : MergeCandidate{found->rank, found->symbol};
  }

 private:
  void encode_word(std::string_view word, Scratch& scratch, std::vector<TokenId>& out) const;
  void append_symbol(uint32_t symbol, std::vector<TokenId>& out) const;

  const TokenStore& tokens_;
  const PreTokenizer& pre_;
  std::array<uint32_t, 256> bytes_{};
  PairTable merges_;
};

Result<void> BytePair::read_merges(const VocabularyData& data, TokenStore& tokens) {
  merges_.reserve(data.merges.size());
  std::string both;
  for (size_t rank = 0; rank < data.merges.size(); ++rank) {
    const std::string_view merge = data.merges[rank];
    const size_t space = merge.find(' ', 1);
    both.clear();
    bool is_spelt =
        space != std::string_view::npos && append_from_byte_alphabet(merge.substr(0, space), both);
    const size_t left_size = both.size();
    is_spelt = is_spelt && append_from_byte_alphabet(merge.substr(space + 1), both);
    if (!is_spelt || left_size == 0 || left_size == both.size()) {
      return make_error(ErrorCode::kBadModel,
                        "merge {} (tokenizer.ggml.merges) is not two byte-level texts with a "
                        "space between them",
                        rank);
    }
    const std::string_view text = both;
    const uint32_t left = tokens.find_or_add(text.substr(0, left_size));
    const uint32_t right = tokens.find_or_add(text.substr(left_size));
    merges_.insert(left, right, {static_cast<uint32_t>(rank), tokens.find_or_add(text)});
  }
  return {};
}

void BytePair::encode_word(std::string_view word, Scratch& scratch,
                           std::vector<TokenId>& out) const {
  if (pre_.ignore_merges) {
    const auto token = tokens_.find(word);
    if (token && *token < tokens_.size()) {
      out.push_back(static_cast<TokenId>(*token));
      return;
    }
  }
  std::vector<Symbol>& symbols = scratch.merge.symbols;
  symbols.clear();
  for (uint32_t i = 0; i < word.size(); ++i) {
    symbols.push_back({i, 1, bytes_[static_cast<unsigned char>(word[i])]});
  }
  merge_word(*this, scratch.merge);
  for (const Symbol& symbol : symbols) append_symbol(symbol.id, out);
}

// A text without a token becomes its bytes. Bytes without a token are left out: the vocabularies
// that lack some (SmolLM2: control characters) have nothing to spell them with, and their own
// tokenizers leave them out too.
void BytePair::append_symbol(uint32_t symbol, std::vector<TokenId>& out) const {
  if (symbol < tokens_.size()) {
    out.push_back(static_cast<TokenId>(symbol));
    return;
  }
  if (symbol == TokenStore::kNone) return;
  for (const char c : tokens_.text(symbol)) {
    const uint32_t byte = bytes_[static_cast<unsigned char>(c)];
    if (byte != TokenStore::kNone) out.push_back(static_cast<TokenId>(byte));
  }
}

}  // namespace

Result<std::unique_ptr<Algorithm>> make_byte_pair(const VocabularyData& data, TokenStore& tokens) {
  LLMRUN_ASSIGN(const PreTokenizer* pre, find_pre_tokenizer(data.pre));
  auto algorithm = std::make_unique<BytePair>(tokens, *pre);
  LLMRUN_TRY(algorithm->read_merges(data, tokens));
  return algorithm;
}

}  // namespace llmrun::tokenizer
