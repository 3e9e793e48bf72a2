// A chat that is made to fit the context.
#pragma once

#include <span>

#include "api/model_impl.h"

namespace llmrun {

struct FittedChat {
  RenderedChat chat;
  int64_t n_dropped = 0;    // tokens of the messages that were left out
  int64_t keep_tokens = 0;  // of the rendered chat: the system message
};
// Renders the messages. When they are too long and options.on_overflow allows it, the oldest ones
// after the system message are left out, whole, until room is left for the answer; the last one
// stays. The engine cuts that one when it alone is too long.
Result<FittedChat> fit_chat(const ModelImpl& model, std::span<const Message> messages,
                            const RenderOptions& render, const GenerateOptions& options,
                            int64_t context_tokens);

}  // namespace llmrun
