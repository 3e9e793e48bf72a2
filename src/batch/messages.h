// The messages of a chat request.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "llmrun/error.h"
#include "llmrun/message.h"

namespace llmrun::batch {

// Roles, texts (or lists of text parts), thoughts, and tool calls that were made before. Anything
// else is an error that names the message.
Result<std::vector<Message>> read_messages(const nlohmann::ordered_json& list);

}  // namespace llmrun::batch
