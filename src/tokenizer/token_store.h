// The texts and types of a vocabulary in one block of memory, found by id or by text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "llmrun/error.h"
#include "tokenizer/hash_table.h"
#include "tokenizer/vocabulary.h"

namespace llmrun::tokenizer {

// How the file writes the text of a token.
enum class Spelling : uint8_t {
  kByteAlphabet,  // GPT-2's byte alphabet
  kSpaceMark,     // U+2581 for a space, "<0x0A>" for a byte
};

// A symbol is a token id or, from size() on, a text that merges pass through without a token.
class TokenStore {
 public:
  static Result<TokenStore> create(const VocabularyData& data, Spelling spelling);

  size_t size() const { return types_.size(); }
  size_t symbols() const { return spans_.size(); }

  // The bytes a symbol stands for; those of a control token are its name.
  std::string_view text(uint32_t symbol) const {
    const Span span = spans_[symbol];
    return {arena_.data() + span.offset, span.length};
  }
  TokenType type(uint32_t id) const { return types_[id]; }
  void set_type(uint32_t id, TokenType type) { types_[id] = type; }
  size_t longest() const { return longest_; }

  // The symbol that ordinary text can be spelt with; control tokens, tokens that stand for single
  // bytes and the like are not found.
  std::optional<uint32_t> find(std::string_view text) const {
    return table_.find(text, [this](uint32_t symbol) { return this->text(symbol); });
  }
  // The same, and adds a symbol without a token when there is none.
  uint32_t find_or_add(std::string_view text);

  // The token for one byte: "<0x0A>" of kSpaceMark, a token of one byte of kByteAlphabet.
  std::optional<uint32_t> byte_token(unsigned char byte) const {
    const uint32_t id = byte_tokens_[byte];
    return id == kNone ? std::nullopt : std::optional<uint32_t>(id);
  }

  static constexpr uint32_t kNone = UINT32_MAX - 1;

 private:
  struct Span {
    uint32_t offset;
    uint32_t length;
  };
  void add(std::string_view raw, TokenType type, Spelling spelling);
  bool is_spellable(std::string_view raw, uint32_t id, Spelling spelling) const;

  std::string arena_;
  std::vector<Span> spans_;
  std::vector<TokenType> types_;
  TextTable table_;
  uint32_t byte_tokens_[256];
  size_t longest_ = 0;
};

}  // namespace llmrun::tokenizer
