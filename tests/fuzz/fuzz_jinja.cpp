// Any bytes as a template, rendered over a small conversation whose text is also made of them.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "chat/chat_template.h"
#include "chat/thinking.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view source(reinterpret_cast<const char*>(data), size);
  llmrun::chat::TemplateLimits limits;
  limits.max_steps = 20'000;
  limits.max_memory_bytes = 16U << 20U;
  limits.max_output_bytes = 1U << 20U;
  const auto compiled = llmrun::chat::ChatTemplate::compile(source, "fuzz", limits);
  if (!compiled) return 0;
  llmrun::chat::RenderInput input;
  input.messages.push_back({"system", "Be brief.", "", {}, ""});
  input.messages.push_back({"user", std::string(source.substr(0, 64)), "", {}, ""});
  input.messages.push_back({"assistant", "x", "y", {{"id", "f", "{\"a\": [1, 2.5]}"}}, ""});
  input.tools_json = R"([{"type": "function", "function": {"name": "f"}}])";
  input.variables_json = R"({"enable_thinking": true, "n": 3, "l": [3, 1], "d": {"k": null}})";
  input.now.emplace();
  const auto rendered = compiled->render(input);
  if (!rendered) return 0;
  size_t end = 0;
  for (const llmrun::chat::Segment& segment : rendered->segments) {
    if (segment.begin != end || segment.end <= segment.begin) __builtin_trap();
    end = segment.end;
  }
  if (end != rendered->text.size()) __builtin_trap();
  llmrun::chat::ThinkingSplitter splitter(rendered->text);
  splitter.feed(source);
  splitter.finish();
  return 0;
}
