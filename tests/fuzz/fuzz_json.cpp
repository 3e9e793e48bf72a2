// Any bytes as the JSON input of `llmrun template`, rendered with a fixed template that looks at
// every part of a conversation.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "chat/chat_template.h"

namespace {

constexpr std::string_view kTemplate = R"jinja(
{%- macro show(value) -%}
{%- if value is mapping -%}{% for k, v in value.items() %}{{ k }}={{ show(v) }};{% endfor %}
{%- elif value is iterable and value is not string -%}{% for v in value %}{{ show(v) }},{% endfor %}
{%- else -%}{{ value }}{{ value | string | trim | upper | length }}
{%- endif -%}
{%- endmacro -%}
{%- for m in messages -%}
<|{{ m.role }}|>{{ show(m.content) }}{{ m | tojson(indent=2) }}
{%- for c in m.tool_calls -%}{{ c.function.name }}{{ c.function.arguments | tojson }}{%- endfor -%}
{%- endfor -%}
{%- for t in tools -%}{{ t | tojson(ensure_ascii=true, sort_keys=true) }}{%- endfor -%}
{{ '%s' % show(extra) if extra is defined }}{{ '<|assistant|>' if add_generation_prompt }}
)jinja";

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  llmrun::chat::TemplateLimits limits;
  limits.max_steps = 50'000;
  limits.max_memory_bytes = 32U << 20U;
  static const auto compiled = llmrun::chat::ChatTemplate::compile(kTemplate, "fuzz", limits);
  if (!compiled) __builtin_trap();
  llmrun::chat::JsonRenderInput input;
  input.case_json = std::string_view(reinterpret_cast<const char*>(data), size);
  input.now.emplace();
  const auto rendered = compiled->render_json(input);
  if (!rendered && rendered.error().message.empty()) __builtin_trap();
  return 0;
}
