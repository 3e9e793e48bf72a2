// Token ids as people write them, and text as commands take it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "llmrun/error.h"
#include "llmrun/message.h"

namespace llmrun::cli {

// "1 2 3", "1,2,3", "[1, 2, 3]" or one id on a line.
Result<std::vector<TokenId>> parse_ids(std::string_view text);

}  // namespace llmrun::cli
