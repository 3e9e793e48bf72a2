// Text to token ids and back. A Tokenizer is immutable; any number of threads may use it at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "llmrun/error.h"
#include "llmrun/message.h"
#include "tokenizer/vocabulary.h"

namespace llmrun::tokenizer {

struct EncodeOptions {
  bool add_special = true;    // begin and end tokens, as the vocabulary's flags say
  bool parse_special = true;  // control tokens written out in the text become those tokens
};

// A part of a text. A control token written in an untrusted part (what a user typed) is plain
// text there, so nobody can end a turn from inside a message.
struct Piece {
  std::string_view text;
  bool trusted = true;
};

class Tokenizer {
 public:
  // Copies what it needs from `data`.
  static Result<std::unique_ptr<Tokenizer>> create(const VocabularyData& data);
  virtual ~Tokenizer() = default;
  Tokenizer(const Tokenizer&) = delete;
  Tokenizer& operator=(const Tokenizer&) = delete;

  virtual Result<std::vector<TokenId>> encode(std::string_view text,
                                              EncodeOptions options = {}) const = 0;
  // As the encoding of all texts joined, except that no control token reaches into an untrusted
  // piece.
  virtual Result<std::vector<TokenId>> encode(std::span<const Piece> pieces,
                                              EncodeOptions options = {}) const = 0;

  // The text of the ids. Control tokens are left out unless `with_special`. The space that
  // encode() put in front is taken away. The result may hold bytes that are not UTF-8.
  virtual Result<std::string> decode(std::span<const TokenId> ids,
                                     bool with_special = false) const = 0;
  // The bytes that one token adds to the output; empty for an id out of range, and for control
  // tokens unless `with_special`. The view lives as long as the tokenizer.
  virtual std::string_view piece(TokenId id, bool with_special = false) const = 0;

  virtual size_t size() const = 0;
  virtual TokenType type(TokenId id) const = 0;  // kUndefined when out of range
  virtual const SpecialIds& special() const = 0;
  virtual bool is_end_of_generation(TokenId id) const = 0;
  virtual std::span<const TokenId> end_of_generation_ids() const = 0;  // ascending
  virtual bool is_control(TokenId id) const = 0;
  // The token whose piece (with special) is `text`; of several, the control or user-defined one.
  virtual std::optional<TokenId> find(std::string_view text) const = 0;
  virtual bool adds_bos() const = 0;  // encode() with add_special begins with special().bos
  virtual bool adds_eos() const = 0;
  virtual std::string_view model_name() const = 0;  // "gpt2", "llama", …
  virtual std::string_view pre_name() const = 0;    // "qwen2", …; may be empty
  virtual size_t longest_piece() const = 0;         // bytes; bounds decode() per token

 protected:
  Tokenizer() = default;
};

}  // namespace llmrun::tokenizer
