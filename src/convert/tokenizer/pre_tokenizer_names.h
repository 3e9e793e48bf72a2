// Which name GGUF has for the way a tokenizer.json splits text into words.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "convert/json_text.h"
#include "llmrun/error.h"

namespace llmrun::convert {

// For byte-level BPE. kUnsupported, naming the expression, when it is none of the known ones: a
// wrong splitter makes a model silently worse.
Result<std::string> name_of_pre_tokenizer(const Json& tokenizer);

// All names it can give.
std::vector<std::string_view> pre_tokenizer_names();

}  // namespace llmrun::convert
