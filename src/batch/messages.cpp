// Each field of a message, checked.
#include "batch/messages.h"

#include "base/error.h"
#include "batch/json.h"

namespace llmrun::batch {
namespace {

template <typename... Args>
tl::unexpected<Error> bad(fmt::format_string<Args...> format, Args&&... args) {
  return make_error(ErrorCode::kUsage, format, std::forward<Args>(args)...);
}

// A text, or a list of parts {"type":"text","text":…}; null is no text.
Result<std::string> read_content(const Json& value) {
  if (value.is_null()) return std::string();
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_array()) return bad("'content' must be a text or a list of parts");
  std::string text;
  for (const Json& part : value) {
    const bool is_text = part.is_object() && part.value("type", Json()) == "text" &&
                         part.size() == 2 && part.contains("text") && part["text"].is_string();
    if (!is_text) return bad("'content' may hold parts of the type text only");
    text += part["text"].get<std::string>();
  }
  return text;
}

Result<ToolCall> read_tool_call(const Json& value) {
  const auto text_of = [](const Json& object, const char* key) {
    return object.is_object() && object.contains(key) && object[key].is_string()
               ? object[key].get<std::string>()
               : std::string();
  };
  ToolCall call;
  call.id = text_of(value, "id");
  const Json function = value.is_object() ? value.value("function", Json()) : Json();
  call.name = text_of(function, "name");
  call.arguments_json = text_of(function, "arguments");
  if (call.name.empty() || !Json::accept(call.arguments_json)) {
    return bad("a tool call must have a function with a name and arguments that are JSON as text");
  }
  return call;
}

Result<void> read_field(const std::string& name, const Json& value, Message& message) {
  std::string* target = name == "role"                                       ? &message.role
                        : name == "reasoning_content" || name == "reasoning" ? &message.thinking
                        : name == "tool_call_id"                             ? &message.tool_call_id
                                                                             : nullptr;
  if (target != nullptr) {
    if (value.is_null()) return {};
    if (!value.is_string()) return bad("'{}' must be a text", name);
    *target = value.get<std::string>();
    return {};
  }
  if (name == "content") {
    LLMRUN_ASSIGN(message.content, read_content(value));
    return {};
  }
  if (name == "tool_calls") {
    if (value.is_null()) return {};
    if (!value.is_array()) return bad("'tool_calls' must be a list");
    for (const Json& item : value) {
      LLMRUN_ASSIGN(message.tool_calls.emplace_back(), read_tool_call(item));
    }
    return {};
  }
  return bad("the field '{}' is not known", name);
}

Result<Message> read_message(const Json& value) {
  if (!value.is_object()) return bad("it is no object");
  Message message;
  for (const auto& [name, field] : value.items()) LLMRUN_TRY(read_field(name, field, message));
  if (message.role.empty()) return bad("it has no 'role'");
  if (!value.contains("content") && message.tool_calls.empty()) return bad("it has no 'content'");
  return message;
}

}  // namespace

Result<std::vector<Message>> read_messages(const Json& list) {
  if (!list.is_array() || list.empty()) return bad("'messages' must be a list of messages");
  std::vector<Message> messages;
  for (const Json& item : list) {
    auto message = read_message(item);
    if (!message) return bad("message {}: {}", messages.size() + 1, message.error().message);
    messages.push_back(std::move(*message));
  }
  return messages;
}

}  // namespace llmrun::batch
