// One answer and out.
#pragma once

#include <string>

#include "cli/conversation.h"
#include "cli/run_settings.h"

namespace llmrun::cli {

// Answers `prompt`; the chat is saved when it is one that was resumed.
Result<void> answer_once(RunSettings& settings, Conversation& conversation,
                         const std::string& prompt);

}  // namespace llmrun::cli
