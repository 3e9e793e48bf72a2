// The vocabulary of a tokenizer.json in the terms of GGUF, and the functions that fill it: one per
// kind of model.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "convert/json_text.h"
#include "gguf/writer.h"
#include "llmrun/error.h"

namespace llmrun::convert {

// The values of tokenizer.ggml.token_type.
enum class TokenType : int32_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6,
};

struct Vocabulary {
  std::string model;  // tokenizer.ggml.model
  std::string pre;    // tokenizer.ggml.pre; empty where the model has none
  std::vector<std::string> tokens;
  std::vector<TokenType> types;
  std::vector<float> scores;        // empty, or one per token
  std::vector<std::string> merges;  // "left right"
  std::string charsmap;             // Unigram: the compiled normaliser
  std::optional<bool> add_bos, add_eos, add_sep, add_space_prefix, remove_extra_whitespaces;
  // tokenizer.ggml.<name>_token_id: "bos", "eos", "unknown", "padding", …
  std::map<std::string, int64_t> ids;
};

struct AddedToken {
  int64_t id = 0;
  std::string text;
  bool special = false;
};

// The tokens whose "special" flag or list makes them more than a piece of text.
Result<std::vector<AddedToken>> read_added_tokens(const Json& tokenizer);

// Fills tokens and types from the object text → id of `vocabulary` and the added tokens; ids
// without a text, and those up to n_tokens (0: as many as there are), become "[PAD<id>]", unused.
Result<void> fill_tokens(const Json& vocabulary, const std::vector<AddedToken>& added,
                         int64_t n_tokens, Vocabulary& out);

// The second half of it: for vocabularies whose tokens and types are there already.
Result<void> place_added_tokens(const std::vector<AddedToken>& added, int64_t n_tokens,
                                Vocabulary& out);

struct TokenizerOptions {
  int64_t n_tokens = 0;  // rows of the embedding; 0: as many as the tokenizer has
  std::string pre = {};  // overrides what the splitter looks like
};

// The whole of tokenizer.json. kUnsupported for what GGUF or this program cannot express.
Result<Vocabulary> read_tokenizer(const Json& tokenizer, const TokenizerOptions& options);

// One kind each, called by read_tokenizer.
Result<void> read_byte_pair(const Json& tokenizer, const TokenizerOptions& options,
                            Vocabulary& out);
Result<void> read_unigram(const Json& tokenizer, const TokenizerOptions& options, Vocabulary& out);
Result<void> read_word_piece(const Json& tokenizer, const TokenizerOptions& options,
                             Vocabulary& out);

void write_vocabulary(const Vocabulary& vocabulary, gguf::Writer& writer);

// The member of an object, or null; and the text of a member, or "".
const Json* member(const Json& object, const char* key);
std::string text_of(const Json& object, const char* key);
bool flag_of(const Json& object, const char* key, bool fallback);
// The object itself, or, of a "Sequence", the elements under `list_key`. Null is no element.
std::vector<const Json*> steps_of(const Json* step, const char* list_key);

}  // namespace llmrun::convert
