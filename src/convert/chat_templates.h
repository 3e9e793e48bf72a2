// The chat templates of a folder: programs in Jinja, carried over as they are.
#pragma once

#include <string>

#include "gguf/writer.h"
#include "llmrun/error.h"

namespace llmrun::convert {

// tokenizer.chat_template from chat_template.jinja, chat_template.json or tokenizer_config.json, in
// this order; of a list with names, the others become tokenizer.chat_template.<name>.
Result<void> write_chat_templates(const std::string& folder, gguf::Writer& writer);

}  // namespace llmrun::convert
