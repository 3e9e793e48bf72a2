// What a model file says about its tokens: the plain data from which a Tokenizer is made, and the
// function that reads it from GGUF metadata. A test fills a VocabularyData by hand.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "llmrun/error.h"
#include "llmrun/message.h"

namespace llmrun::gguf {
class Metadata;
}

namespace llmrun::tokenizer {

// Named limits on what a file may ask for.
inline constexpr size_t kMaxTokens = size_t{1} << 23;           // tokens of a vocabulary
inline constexpr size_t kMaxTokenBytes = size_t{1} << 16;       // bytes of one token's text
inline constexpr size_t kMaxMatchedBytes = 1024;                // bytes of a token matched in text
inline constexpr size_t kMaxVocabularyBytes = size_t{1} << 30;  // bytes of all texts and merges
inline constexpr size_t kMaxTextBytes = size_t{1} << 30;        // bytes of one text to encode

// The values of tokenizer.ggml.token_type.
enum class TokenType : uint8_t {
  kUndefined = 0,
  kNormal = 1,
  kUnknown = 2,      // stands for what the vocabulary cannot spell
  kControl = 3,      // has a meaning to the model, and no text
  kUserDefined = 4,  // found in any text before it is split, and has that text
  kUnused = 5,
  kByte = 6,  // "<0x0A>": one byte of a character that has no token
};

// Token ids with a role; absent when the vocabulary has none.
struct SpecialIds {
  std::optional<TokenId> bos;  // begin of sequence; for WordPiece the classification token
  std::optional<TokenId> eos;  // end of sequence
  std::optional<TokenId> eot;  // end of turn
  std::optional<TokenId> eom;  // end of message (a tool call follows)
  std::optional<TokenId> unk;
  std::optional<TokenId> sep;
  std::optional<TokenId> pad;
  std::optional<TokenId> mask;
  std::optional<TokenId> fim_prefix;  // fill in the middle
  std::optional<TokenId> fim_suffix;
  std::optional<TokenId> fim_middle;
  std::optional<TokenId> fim_pad;
  std::optional<TokenId> fim_repository;
  std::optional<TokenId> fim_separator;
};

struct VocabularyData {
  std::string model;  // tokenizer.ggml.model: "gpt2" (byte-level BPE), "llama" (SPM), "bert", "t5"
  std::string pre;    // tokenizer.ggml.pre: which splitter goes before byte-level BPE
  std::string name;   // general.name: a few models need it, the format has no key for their quirks

  // The texts are views; Tokenizer::create copies what it needs, so they must live only until it
  // returns. Views into `storage` live as long as this object.
  std::vector<std::string_view> tokens;
  std::vector<float> scores;              // empty, or one per token
  std::vector<TokenType> types;           // empty (all normal), or one per token
  std::vector<std::string_view> merges;   // "left right", best first; byte-level BPE only
  std::string_view precompiled_charsmap;  // "t5": the normaliser SentencePiece compiled
  std::shared_ptr<const void> storage;

  SpecialIds special;
  // Absent: what the tokenizer model and `pre` have as their default.
  std::optional<bool> add_bos;
  std::optional<bool> add_eos;
  std::optional<bool> add_sep;
  std::optional<bool> add_space_prefix;
  std::optional<bool> remove_extra_whitespaces;
};

// Reads the keys tokenizer.ggml.*. A file without a tokenizer, or with the model "none" or "test",
// gives ErrorCode::kUnsupported: such a model is used by token ids only. The texts are views into
// the metadata, which must outlive the result.
Result<VocabularyData> read_vocabulary(const gguf::Metadata& metadata);

}  // namespace llmrun::tokenizer
