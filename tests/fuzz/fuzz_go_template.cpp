// Any bytes as a Go template, rendered over a small conversation and over plain data.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "chat/chat_template.h"

namespace {

void check(const llmrun::chat::RenderedText& rendered) {
  size_t end = 0;
  for (const llmrun::chat::Segment& segment : rendered.segments) {
    if (segment.begin != end || segment.end <= segment.begin) __builtin_trap();
    end = segment.end;
  }
  if (end != rendered.text.size()) __builtin_trap();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace llmrun::chat;
  const std::string_view source(reinterpret_cast<const char*>(data), size);
  TemplateLimits limits;
  limits.max_steps = 20'000;
  limits.max_memory_bytes = 16U << 20U;
  limits.max_output_bytes = 1U << 20U;
  const auto compiled = ChatTemplate::compile(source, "fuzz", limits, TemplateLanguage::kGo);
  if (!compiled) return 0;
  RenderInput input;
  input.messages.push_back({"system", "Be brief.", "", {}, ""});
  input.messages.push_back({"user", std::string(source.substr(0, 64)), "", {}, ""});
  input.messages.push_back({"assistant", "x", "y", {{"id", "f", "{\"a\": [1, 2.5]}"}}, ""});
  input.messages.push_back({"tool", "r", "", {}, "id"});
  input.tools_json = R"([{"type":"function","function":{"name":"f","parameters":{"type":"object",)"
                     R"("properties":{"a":{"type":["string","null"],"enum":["x"]}}}}}])";
  input.now.emplace();
  if (const auto rendered = compiled->render(input)) check(*rendered);
  JsonRenderInput plain;
  plain.case_json = R"({"s":"a<b","n":3,"l":[1,"x",null],"m":{"k":{"v":[true]}},"Prompt":"p"})";
  plain.now.emplace();
  if (const auto rendered = compiled->render_json(plain)) check(*rendered);
  return 0;
}
