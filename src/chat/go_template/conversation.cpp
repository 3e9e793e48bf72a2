// Runs Go templates over conversations as Ollama does.
#include "chat/go_template/conversation.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "chat/go_template/interpreter.h"

namespace llmrun::chat::go_template {
namespace {

using Json = nlohmann::ordered_json;

Member field(std::string name, Value value, std::string json_name = {}, bool omit_empty = false) {
  return {.name = std::move(name),
          .value = std::move(value),
          .json_name = std::move(json_name),
          .omit_empty = omit_empty};
}

Value content(std::string_view text) { return Value::text(text, false); }

// What the template may switch on and off by the caller's variables.
struct Thinking {
  bool on = false;
  bool is_set = false;
  std::string level;
};

Result<Thinking> thinking_of(std::string_view variables_json) {
  Thinking thinking;
  if (variables_json.empty()) return thinking;
  const Json variables = Json::parse(variables_json, nullptr, false);
  if (!variables.is_object()) {
    return make_error(ErrorCode::kUsage, "the template variables must be a JSON object");
  }
  for (const auto& [name, value] : variables.items()) {
    if ((name == "enable_thinking" || name == "thinking") && value.is_boolean()) {
      thinking.on = value.get<bool>();
      thinking.is_set = true;
    } else if (name == "reasoning_effort" && value.is_string()) {
      thinking.level = value.get<std::string>();
      thinking.on = thinking.level != "none";
      thinking.is_set = true;
    }
  }
  return thinking;
}

struct Collated {
  std::string system;  // all system messages
  std::vector<Message> messages;
};

// Neighbours of one role become one message, but for the results of tools.
Collated collate(const std::vector<Message>& messages) {
  Collated result;
  bool has_system = false;
  for (const Message& message : messages) {
    if (message.role == "system") {
      if (has_system) result.system += "\n\n";
      result.system += message.content;
      has_system = true;
    }
    const bool merges = !result.messages.empty() && message.role != "tool" &&
                        result.messages.back().role == message.role;
    if (!merges) {
      result.messages.push_back(message);
      continue;
    }
    Message& last = result.messages.back();
    if (!message.content.empty()) last.content += "\n\n" + message.content;
    last.tool_calls.insert(last.tool_calls.end(), message.tool_calls.begin(),
                           message.tool_calls.end());
  }
  return result;
}

class Conversation {
 public:
  Conversation(const ChatForm& form, const TemplateLimits& limits, const std::tm& now,
               Thinking thinking)
      : form_(form), interpreter_(*form.source, limits, now), thinking_(std::move(thinking)) {}

  Result<RenderedText> run(const RenderInput& input) {
    const Collated collated = collate(input.messages);
    if (!input.suffix.empty()) {
      LLMRUN_TRY(infill(collated.messages, input.suffix));
    } else if (form_.reads_messages) {
      LLMRUN_TRY(at_once(collated, input.tools_json));
    } else {
      LLMRUN_TRY(turns(collated.messages));
    }
    return interpreter_.take();
  }

 private:
  Value data(std::vector<Member> members) {
    members.push_back(field("Think", Value(thinking_.on)));
    members.push_back(field("ThinkLevel", content(thinking_.level)));
    members.push_back(field("IsThinkSet", Value(thinking_.is_set)));
    return Value(make_map(std::move(members)));
  }

  Result<void> infill(const std::vector<Message>& messages, const std::string& suffix) {
    const std::string prompt = messages.empty() ? std::string() : messages.back().content;
    return interpreter_.run(
        form_.every_turn, data({field("Prompt", content(prompt)), field("Suffix", content(suffix)),
                                field("Response", content(""))}));
  }

  Result<void> at_once(const Collated& collated, const std::string& tools_json) {
    LLMRUN_ASSIGN(Value tools, tools_value(tools_json));
    LLMRUN_ASSIGN(Value messages, messages_value(collated.messages));
    return interpreter_.run(
        form_.every_turn,
        data({field("System", content(collated.system)), field("Messages", std::move(messages)),
              field("Tools", std::move(tools)), field("Response", content(""))}));
  }

  // A turn is what a user and the model said; the system message goes before the next one.
  Result<void> turns(const std::vector<Message>& messages) {
    for (const Message& message : messages) {
      if (message.role == "system") {
        if (!prompt_.empty() || !response_.empty()) LLMRUN_TRY(turn(form_.every_turn));
        system_ = message.content;
      } else if (message.role == "user") {
        if (!response_.empty()) LLMRUN_TRY(turn(form_.every_turn));
        prompt_ = message.content;
      } else if (message.role == "assistant") {
        response_ = message.content;
      }
    }
    return turn(form_.last_turn);
  }

  Result<void> turn(const Nodes& nodes) {
    LLMRUN_TRY(interpreter_.run(
        nodes, data({field("System", content(system_)), field("Prompt", content(prompt_)),
                     field("Response", content(response_))})));
    system_.clear();
    prompt_.clear();
    response_.clear();
    return {};
  }

  const ChatForm& form_;
  Interpreter interpreter_;
  Thinking thinking_;
  std::string system_, prompt_, response_;
};

// A role is a plain word, or else it is text like any other.
Value role_value(const std::string& role) {
  const bool plain = !role.empty() && role.size() <= 64 &&
                     role.find_first_not_of(
                         "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                         "0123456789_-") == std::string::npos;
  return Value::text(role, plain);
}

Result<Value> call_value(const ToolCall& call, size_t index) {
  Result<Value> arguments = parse_json(call.arguments_json, "the arguments of a tool call");
  if (arguments && arguments->as_object() != nullptr) {
    arguments = Value(make_map(arguments->as_object()->members, /*prints_json=*/true));
  } else {
    arguments = content(call.arguments_json);  // what the model wrote, when that is no JSON
  }
  Value function(
      make_struct("ToolCallFunction", {field("Index", Value(static_cast<int64_t>(index)), "index"),
                                       field("Name", content(call.name), "name"),
                                       field("Arguments", std::move(*arguments), "arguments")}));
  return Value(make_struct("ToolCall", {field("ID", content(call.id), "id", true),
                                        field("Function", std::move(function), "function")}));
}

// The name of the function whose call the message at `index` answers.
std::string called_function(const std::vector<Message>& messages, size_t index) {
  for (size_t i = index; i-- > 0;) {
    for (const ToolCall& call : messages[i].tool_calls) {
      if (call.id == messages[index].tool_call_id) return call.name;
    }
  }
  return {};
}

}  // namespace

Result<Value> messages_value(const std::vector<Message>& messages) {
  std::vector<Value> list;
  for (size_t i = 0; i < messages.size(); ++i) {
    const Message& message = messages[i];
    std::vector<Value> calls;
    for (size_t k = 0; k < message.tool_calls.size(); ++k) {
      LLMRUN_ASSIGN(Value call, call_value(message.tool_calls[k], k));
      calls.push_back(std::move(call));
    }
    const std::string tool =
        message.tool_call_id.empty() ? std::string() : called_function(messages, i);
    list.emplace_back(make_struct(
        "Message", {field("Role", role_value(message.role), "role"),
                    field("Content", content(message.content), "content"),
                    field("Thinking", content(message.thinking), "thinking", true),
                    field("Images", Value(make_list({})), "images", true),
                    field("ToolCalls", Value(make_list(std::move(calls))), "tool_calls", true),
                    field("ToolName", content(tool), "tool_name", true),
                    field("ToolCallID", content(message.tool_call_id), "tool_call_id", true)}));
  }
  return Value(make_list(std::move(list)));
}

Result<RenderedText> render_conversation(const ChatForm& form, const RenderInput& input,
                                         const TemplateLimits& limits, const std::tm& now) {
  LLMRUN_ASSIGN(Thinking thinking, thinking_of(input.variables_json));
  return Conversation(form, limits, now, std::move(thinking)).run(input);
}

}  // namespace llmrun::chat::go_template
