// A chat message. Vocabulary: any layer may include this header.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace llmrun {

using TokenId = int32_t;

// A call the model made to a function it was offered.
struct ToolCall {
  std::string id;
  std::string name;
  std::string arguments_json;  // a JSON object as text
};

// The "= {}" let a message be written as {.role = "user", .content = "Hello"} without a warning.
struct Message {
  std::string role = {};  // "system", "user", "assistant", "tool"; templates may know more
  std::string content = {};
  std::string thinking =
      {};  // what the model thought before an assistant message, without its tags
  std::vector<ToolCall> tool_calls = {};
  std::string tool_call_id = {};  // which call a "tool" message answers
};

}  // namespace llmrun
