// Which tokens end a generation, fill in the middle, or may not be forged by a user, where the
// file does not say so in a key of its own: by their well-known texts.
#pragma once

#include <string_view>
#include <vector>

#include "llmrun/message.h"
#include "tokenizer/special_matcher.h"
#include "tokenizer/token_store.h"
#include "tokenizer/vocabulary.h"

namespace llmrun::tokenizer {

struct SpecialRoles {
  SpecialIds ids;
  std::vector<TokenId> end_of_generation;  // ascending
};

// Marks the end-of-turn tokens that a conversion left as ordinary text as control tokens.
SpecialRoles find_special_roles(const VocabularyData& data, TokenStore& tokens);

// A user-defined token that has the form of a control token ("<|user|>"): some conversions mark
// them so. It is found in any text of ours, but not in text that a user wrote.
bool looks_like_control(std::string_view text);

}  // namespace llmrun::tokenizer
