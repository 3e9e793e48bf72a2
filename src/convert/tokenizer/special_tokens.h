// The tokens with a role and the flags around them, from the small files beside tokenizer.json.
#pragma once

#include <string>

#include "convert/config.h"
#include "convert/tokenizer/vocabulary.h"
#include "llmrun/error.h"

namespace llmrun::convert {

// Where a file is missing its config has no keys.
struct TokenizerFiles {
  Config tokenizer_config;
  Config special_tokens_map;
  Config config;
  Config generation_config;
};

// Fills ids and the add_… flags. `tokenizer` is tokenizer.json, whose post-processor says what is
// really put around a text.
Result<void> read_special_tokens(const Json& tokenizer, const TokenizerFiles& files,
                                 Vocabulary& vocabulary);

}  // namespace llmrun::convert
