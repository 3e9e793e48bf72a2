// Binds messages, tools and further variables to a compiled template and renders it.
#include "chat/chat_template.h"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "base/error.h"
#include "chat/go_template/conversation.h"
#include "chat/go_template/interpreter.h"
#include "chat/go_template/parser.h"
#include "chat/jinja/interpreter.h"
#include "chat/jinja/json.h"
#include "chat/jinja/parser.h"

namespace llmrun::chat {
namespace {

using jinja::DictObject;
using jinja::Heap;
using jinja::ListObject;
using jinja::None;
using jinja::Value;

constexpr bool kTrusted = true;
constexpr bool kUntrusted = false;

bool is_word_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-';
}

// A role is trusted text when it is a plain word, so that it cannot smuggle a special token in.
bool is_plain_role(std::string_view role) {
  return !role.empty() && role.size() <= 64 &&
         std::all_of(role.begin(), role.end(), is_word_character);
}

// Whether the source mentions message.NAME or 'NAME'.
bool mentions_field(std::string_view source, std::string_view name) {
  for (size_t at = 0; (at = source.find(name, at)) != std::string_view::npos; at += name.size()) {
    const char before = at == 0 ? '\0' : source[at - 1];
    const size_t end = at + name.size();
    const bool ends = end >= source.size() || !is_word_character(source[end]);
    if (ends && (before == '.' || before == '\'' || before == '"')) return true;
  }
  return false;
}

// Under which name the template looks for what the model thought; there is no agreement.
std::string_view thinking_field(std::string_view source) {
  for (const std::string_view name : {"reasoning_content", "thinking", "reasoning"}) {
    if (mentions_field(source, name)) return name;
  }
  return "reasoning_content";
}

std::tm local_time() {
  const std::time_t seconds = std::time(nullptr);
  std::tm result{};
  localtime_r(&seconds, &result);
  return result;
}

// How the messages are told to the template; templates differ in what they expect.
struct Shape {
  bool object_arguments = true;  // tool call arguments as an object, not as JSON text
  bool typed_content = false;    // content as [{"type": "text", "text": …}]
};

// One attempt at a render: its heap, its interpreter, and the variables that were set.
class Render {
 public:
  Render(const jinja::Template& source, const TemplateLimits& limits, const std::tm& now)
      : heap_(limits), interpreter_(source, heap_, limits, now) {}

  Result<void> set_text(std::string_view name, std::string_view text) {
    LLMRUN_ASSIGN(Value value, heap_.text(text, kTrusted));
    interpreter_.set_variable(name, std::move(value));
    return {};
  }

  Result<void> set_json(std::string_view name, std::string_view json) {
    LLMRUN_ASSIGN(Value value, jinja::parse_json(heap_, json, name));
    interpreter_.set_variable(name, std::move(value));
    return {};
  }

  // Each member of a JSON object becomes a variable.
  Result<void> set_all(std::string_view json, std::string_view what) {
    LLMRUN_ASSIGN(const Value value, jinja::parse_json(heap_, json, what));
    if (!value.is_dict()) {
      return make_error(ErrorCode::kUsage, "{} must be a JSON object", what);
    }
    for (const auto& [name, member] : value.as<DictObject>().entries()) {
      if (name.view() == "messages") LLMRUN_TRY(trust_roles(member));
      interpreter_.set_variable(name.view(), member);
    }
    return {};
  }

  Result<void> set_messages(const std::vector<Message>& messages, const Shape& shape,
                            std::string_view thinking_name) {
    std::vector<Value> list;
    for (size_t i = 0; i < messages.size(); ++i) {
      LLMRUN_ASSIGN(Value message, message_value(messages, i, shape, thinking_name));
      list.push_back(std::move(message));
    }
    LLMRUN_ASSIGN(Value value, heap_.list(std::move(list)));
    interpreter_.set_variable("messages", std::move(value));
    return {};
  }

  void set(std::string_view name, Value value) {
    interpreter_.set_variable(name, std::move(value));
  }

  Result<RenderedText> run() { return interpreter_.run(); }
  bool printed_arguments() const { return interpreter_.printed_watched(); }

 private:
  Result<void> trust_roles(const Value& messages) {
    if (!messages.is_list()) return {};
    for (const Value& message : messages.as<ListObject>().items) {
      if (!message.is_dict()) continue;
      auto& dict = message.as<DictObject>();
      const Value* role = dict.find("role");
      if (role == nullptr || !role->is_string() || !is_plain_role(role->view())) continue;
      LLMRUN_ASSIGN(Value trusted, heap_.text(role->view(), kTrusted));
      LLMRUN_TRY(heap_.set(dict, "role", kTrusted, std::move(trusted)));
    }
    return {};
  }

  Result<void> put_text(DictObject& dict, std::string_view name, std::string_view text,
                        bool trusted = kUntrusted) {
    LLMRUN_ASSIGN(Value value, heap_.text(text, trusted));
    return heap_.set(dict, name, kTrusted, std::move(value));
  }

  Result<Value> message_value(const std::vector<Message>& messages, size_t index,
                              const Shape& shape, std::string_view thinking_name) {
    const Message& message = messages[index];
    LLMRUN_ASSIGN(DictObject * dict, heap_.dict());
    LLMRUN_TRY(put_text(*dict, "role", message.role, is_plain_role(message.role)));
    LLMRUN_TRY(put_content(*dict, message.content, shape));
    if (!message.thinking.empty()) {
      LLMRUN_TRY(put_text(*dict, thinking_name, message.thinking));
    }
    if (!message.tool_calls.empty()) LLMRUN_TRY(put_tool_calls(*dict, message, shape));
    if (!message.tool_call_id.empty()) {
      LLMRUN_TRY(put_text(*dict, "tool_call_id", message.tool_call_id));
      const std::string_view name = called_function(messages, index);
      if (!name.empty()) LLMRUN_TRY(put_text(*dict, "name", name));
    }
    return Value(dict);
  }

  Result<void> put_content(DictObject& dict, std::string_view content, const Shape& shape) {
    if (!shape.typed_content) return put_text(dict, "content", content);
    LLMRUN_ASSIGN(DictObject * part, heap_.dict());
    LLMRUN_TRY(put_text(*part, "type", "text", kTrusted));
    LLMRUN_TRY(put_text(*part, "text", content));
    LLMRUN_ASSIGN(Value list, heap_.list({Value(part)}));
    return heap_.set(dict, "content", kTrusted, std::move(list));
  }

  Result<void> put_tool_calls(DictObject& dict, const Message& message, const Shape& shape) {
    std::vector<Value> calls;
    for (const ToolCall& call : message.tool_calls) {
      LLMRUN_ASSIGN(DictObject * function, heap_.dict());
      LLMRUN_TRY(put_text(*function, "name", call.name));
      LLMRUN_ASSIGN(Value arguments, arguments_value(call.arguments_json, shape));
      LLMRUN_TRY(heap_.set(*function, "arguments", kTrusted, std::move(arguments)));
      LLMRUN_ASSIGN(DictObject * entry, heap_.dict());
      LLMRUN_TRY(put_text(*entry, "id", call.id));
      LLMRUN_TRY(put_text(*entry, "type", "function", kTrusted));
      LLMRUN_TRY(heap_.set(*entry, "function", kTrusted, Value(function)));
      calls.emplace_back(entry);
    }
    LLMRUN_ASSIGN(Value list, heap_.list(std::move(calls)));
    return heap_.set(dict, "tool_calls", kTrusted, std::move(list));
  }

  // Arguments that are not a JSON object stay the text that the model wrote.
  Result<Value> arguments_value(std::string_view json, const Shape& shape) {
    if (shape.object_arguments) {
      Result<Value> parsed = jinja::parse_json(heap_, json, "the arguments of a tool call");
      if (parsed && parsed->is_dict()) {
        interpreter_.watch(parsed->as_object());
        return parsed;
      }
    }
    return heap_.text(json, kUntrusted);
  }

  // The name of the function whose call the tool message at `index` answers.
  static std::string_view called_function(const std::vector<Message>& messages, size_t index) {
    for (size_t i = index; i-- > 0;) {
      for (const ToolCall& call : messages[i].tool_calls) {
        if (call.id == messages[index].tool_call_id) return call.name;
      }
    }
    return {};
  }

  Heap heap_;
  jinja::Interpreter interpreter_;
};

struct Attempt {
  Result<RenderedText> result;
  bool printed_arguments = false;
};

Result<void> bind_input(Render& render, const RenderInput& input, const Shape& shape,
                        std::string_view thinking_name) {
  LLMRUN_TRY(render.set_text("bos_token", input.bos_token));
  LLMRUN_TRY(render.set_text("eos_token", input.eos_token));
  render.set("add_generation_prompt", Value(input.add_generation_prompt));
  if (input.tools_json.empty()) {
    render.set("tools", None{});
  } else {
    LLMRUN_TRY(render.set_json("tools", input.tools_json));
  }
  LLMRUN_TRY(render.set_messages(input.messages, shape, thinking_name));
  if (!input.variables_json.empty()) {
    LLMRUN_TRY(render.set_all(input.variables_json, "the template variables"));
  }
  return {};
}

Attempt attempt(const jinja::Template& source, const TemplateLimits& limits,
                const RenderInput& input, const Shape& shape, std::string_view thinking_name) {
  Render render(source, limits, input.now ? *input.now : local_time());
  const Result<void> bound = bind_input(render, input, shape, thinking_name);
  if (!bound) return {tl::unexpected<Error>(bound.error()), false};
  Result<RenderedText> result = render.run();
  return {std::move(result), render.printed_arguments()};
}

// The last thing a user said, without blanks around it.
std::string_view last_user_text(const std::vector<Message>& messages) {
  for (size_t i = messages.size(); i-- > 0;) {
    if (messages[i].role != "user") continue;
    const std::string_view text = messages[i].content;
    const size_t first = text.find_first_not_of(" \t\r\n");
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
  }
  return {};
}

bool shows(const RenderedText& rendered, std::string_view text) {
  return rendered.text.find(text) != std::string::npos;
}

bool has_tool_calls(const std::vector<Message>& messages) {
  return std::any_of(messages.begin(), messages.end(),
                     [](const Message& message) { return !message.tool_calls.empty(); });
}

}  // namespace

Result<ChatTemplate> ChatTemplate::compile(std::string_view source, std::string_view name,
                                           const TemplateLimits& limits,
                                           TemplateLanguage language) {
  const std::string where = fmt::format("chat template of {}", name);
  if (source.size() > limits.max_source_bytes) {
    return with_context(
        Error{ErrorCode::kBadModel,
              fmt::format("the template has {} bytes, more than the limit of {}; give another one "
                          "with --chat-template",
                          source.size(), limits.max_source_bytes),
              ""},
        where);
  }
  ChatTemplate result;
  if (language == TemplateLanguage::kGo) {
    auto parsed = go_template::parse_template(source);
    if (!parsed) return with_context(parsed.error(), where);
    result.go_ =
        std::make_shared<const go_template::ChatForm>(go_template::chat_form(std::move(*parsed)));
  } else {
    auto parsed = jinja::parse_template(source);
    if (!parsed) return with_context(parsed.error(), where);
    result.template_ = std::move(*parsed);
  }
  result.name_ = std::string(name);
  result.source_ = std::string(source);
  result.limits_ = limits;
  return result;
}

// Templates differ in what they expect, and do not say so. The usual form is tried first; when it
// fails, or when the outcome shows that the template expected the other one, that is tried.
Result<RenderedText> ChatTemplate::render(const RenderInput& input) const {
  if (go_ != nullptr) {
    auto rendered = go_template::render_conversation(*go_, input, limits_,
                                                     input.now ? *input.now : local_time());
    if (rendered) return rendered;
    return with_context(rendered.error(), fmt::format("chat template of {}", name_));
  }
  const std::string_view thinking_name = thinking_field(source_);
  Shape shape;
  Attempt best = attempt(*template_, limits_, input, shape, thinking_name);
  if (has_tool_calls(input.messages) && (!best.result || best.printed_arguments)) {
    Shape other = shape;
    other.object_arguments = false;
    Attempt second = attempt(*template_, limits_, input, other, thinking_name);
    if (second.result) {
      best = std::move(second);
      shape = other;
    }
  }
  const std::string_view said = last_user_text(input.messages);
  if (!said.empty() && (!best.result || !shows(*best.result, said))) {
    shape.typed_content = true;
    Attempt typed = attempt(*template_, limits_, input, shape, thinking_name);
    if (typed.result && shows(*typed.result, said)) best = std::move(typed);
  }
  if (best.result) return std::move(best.result);
  return with_context(best.result.error(), fmt::format("chat template of {}", name_));
}

Result<RenderedText> ChatTemplate::render_json(const JsonRenderInput& input) const {
  if (go_ != nullptr) return render_go_json(input);
  Render render(*template_, limits_, input.now ? *input.now : local_time());
  const auto run = [&]() -> Result<RenderedText> {
    LLMRUN_TRY(render.set_text("bos_token", input.bos_token));
    LLMRUN_TRY(render.set_text("eos_token", input.eos_token));
    LLMRUN_TRY(render.set_all(input.case_json, "the template input"));
    return render.run();
  };
  Result<RenderedText> result = run();
  if (result) return result;
  return with_context(result.error(), fmt::format("chat template of {}", name_));
}

Result<RenderedText> ChatTemplate::render_go_json(const JsonRenderInput& input) const {
  const auto run = [&]() -> Result<RenderedText> {
    LLMRUN_ASSIGN(const go_template::Value data,
                  go_template::parse_json(input.case_json, "the template input"));
    go_template::Interpreter interpreter(*go_->source, limits_,
                                         input.now ? *input.now : local_time());
    LLMRUN_TRY(interpreter.run(go_->source->body, data));
    return interpreter.take();
  };
  Result<RenderedText> result = run();
  if (result) return result;
  return with_context(result.error(), fmt::format("chat template of {}", name_));
}

Result<std::tm> parse_iso_time(std::string_view text) {
  const std::string copy(text);
  std::tm time{};
  int date_end = -1;
  int time_end = -1;
  const int fields =
      std::sscanf(copy.c_str(), "%4d-%2d-%2d%n%*1[T ]%2d:%2d:%2d%n", &time.tm_year, &time.tm_mon,
                  &time.tm_mday, &date_end, &time.tm_hour, &time.tm_min, &time.tm_sec, &time_end);
  const auto size = static_cast<int>(copy.size());
  const bool complete = (fields == 3 && date_end == size) || (fields == 6 && time_end == size);
  const bool in_range = time.tm_mon >= 1 && time.tm_mon <= 12 && time.tm_mday >= 1 &&
                        time.tm_mday <= 31 && time.tm_hour >= 0 && time.tm_hour < 24 &&
                        time.tm_min >= 0 && time.tm_min < 60 && time.tm_sec >= 0 &&
                        time.tm_sec < 61 && time.tm_year >= 1900;
  if (!complete || !in_range) {
    return make_error(ErrorCode::kUsage, "'{}' is not a time; write it like 2026-01-02T03:04:05",
                      text);
  }
  time.tm_year -= 1900;
  time.tm_mon -= 1;
  time.tm_isdst = -1;
  std::tm normal = time;
  const std::time_t seconds = timegm(&normal);  // fills in the day of week and of year
  std::tm result{};
  gmtime_r(&seconds, &result);
  return result;
}

}  // namespace llmrun::chat
