// What Ollama gives a Go template to render: the conversation as data, and how often the template
// runs over it.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "chat/chat_template.h"
#include "chat/go_template/ast.h"
#include "chat/go_template/value.h"

namespace llmrun::chat::go_template {

// A template and what its text says about how it is to be run.
struct ChatForm {
  std::shared_ptr<const Template> source;
  // It reads .Messages, and runs once over all of them. Else it runs once per turn, with .System,
  // .Prompt and .Response.
  bool reads_messages = false;
  Nodes every_turn;  // the template, with {{ .Response }} at its end when it mentions none
  Nodes last_turn;   // the same without what comes after .Response: the answer follows there
};
ChatForm chat_form(std::shared_ptr<const Template> source);

Result<RenderedText> render_conversation(const ChatForm& form, const RenderInput& input,
                                         const TemplateLimits& limits, const std::tm& now);

// The parts of render_conversation() that build data. `tools_json`: as in the OpenAI API.
Result<Value> tools_value(std::string_view tools_json);
Result<Value> messages_value(const std::vector<Message>& messages);

}  // namespace llmrun::chat::go_template
