// The built-in templates, written for plain conversations: system, user, assistant.
#include "chat/builtin_templates.h"

#include <algorithm>
#include <array>

namespace llmrun::chat {
namespace {

constexpr std::string_view kChatMl = R"jinja({%- for message in messages -%}
{{ '<|im_start|>' + message.role + '\n' + (message.content or '') + '<|im_end|>\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\n' }}{%- endif -%}
)jinja";

constexpr std::string_view kLlama3 = R"jinja({{- bos_token -}}
{%- for message in messages -%}
{{ '<|start_header_id|>' + message.role + '<|end_header_id|>\n\n' }}
{{- (message.content or '') | trim + '<|eot_id|>' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}
{%- endif -%}
)jinja";

constexpr std::string_view kLlama2 = R"jinja({%- set ns = namespace(system='') -%}
{%- for message in messages -%}
{%- if message.role == 'system' -%}
{%- set ns.system = '<<SYS>>\n' ~ message.content | trim ~ '\n<</SYS>>\n\n' -%}
{%- elif message.role == 'assistant' -%}
{{ ' ' ~ (message.content or '') | trim ~ ' ' ~ eos_token }}
{%- else -%}
{{ bos_token ~ '[INST] ' ~ ns.system ~ message.content | trim ~ ' [/INST]' }}
{%- set ns.system = '' -%}
{%- endif -%}
{%- endfor -%}
)jinja";

constexpr std::string_view kMistral = R"jinja({{- bos_token -}}
{%- set ns = namespace(system='') -%}
{%- for message in messages -%}
{%- if message.role == 'system' -%}
{%- set ns.system = message.content ~ '\n\n' -%}
{%- elif message.role == 'assistant' -%}
{{ (message.content or '') ~ eos_token }}
{%- else -%}
{{ '[INST]' ~ ns.system ~ message.content ~ '[/INST]' }}
{%- set ns.system = '' -%}
{%- endif -%}
{%- endfor -%}
)jinja";

constexpr std::string_view kGemma = R"jinja({{- bos_token -}}
{%- set ns = namespace(system='') -%}
{%- for message in messages -%}
{%- if message.role == 'system' -%}
{%- set ns.system = message.content | trim ~ '\n\n' -%}
{%- else -%}
{{ '<start_of_turn>' ~ ('model' if message.role == 'assistant' else message.role) ~ '\n' }}
{{- ns.system ~ (message.content or '') | trim ~ '<end_of_turn>\n' }}
{%- set ns.system = '' -%}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<start_of_turn>model\n' }}{%- endif -%}
)jinja";

constexpr std::string_view kPhi3 = R"jinja({%- for message in messages -%}
{{ '<|' + message.role + '|>\n' + (message.content or '') + '<|end|>\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|assistant|>\n' }}{%- endif -%}
)jinja";

constexpr std::string_view kZephyr = R"jinja({%- for message in messages -%}
{{ '<|' + message.role + '|>\n' + (message.content or '') + eos_token + '\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|assistant|>\n' }}{%- endif -%}
)jinja";

constexpr std::string_view kDeepSeek = R"jinja({{- bos_token -}}
{%- for message in messages -%}
{%- if message.role == 'system' -%}{{ message.content }}
{%- elif message.role == 'assistant' -%}
{{ '<｜Assistant｜>' + (message.content or '') + '<｜end▁of▁sentence｜>' }}
{%- else -%}{{ '<｜User｜>' + message.content }}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<｜Assistant｜>' }}{%- endif -%}
)jinja";

constexpr std::string_view kDeepSeek2 = R"jinja({{- bos_token -}}
{%- for message in messages -%}
{%- if message.role == 'system' -%}{{ message.content + '\n\n' }}
{%- elif message.role == 'assistant' -%}
{{ 'Assistant: ' + (message.content or '') + eos_token }}
{%- else -%}{{ 'User: ' + message.content + '\n\n' }}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ 'Assistant:' }}{%- endif -%}
)jinja";

constexpr std::string_view kGranite = R"jinja({%- for message in messages -%}
{{ '<|start_of_role|>' + message.role + '<|end_of_role|>' }}
{{- (message.content or '') + '<|end_of_text|>\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{ '<|start_of_role|>assistant<|end_of_role|>' }}
{%- endif -%}
)jinja";

constexpr std::string_view kCommandR = R"jinja({{- bos_token -}}
{%- set tokens = {'system': '<|SYSTEM_TOKEN|>', 'user': '<|USER_TOKEN|>',
                  'assistant': '<|CHATBOT_TOKEN|>'} -%}
{%- for message in messages -%}
{{ '<|START_OF_TURN_TOKEN|>' ~ tokens.get(message.role, '<|SYSTEM_TOKEN|>') }}
{{- (message.content or '') | trim ~ '<|END_OF_TURN_TOKEN|>' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>' }}{%- endif -%}
)jinja";

constexpr std::string_view kGptOss = R"jinja(
{{- '<|start|>system<|message|>You are ChatGPT, a large language model trained by OpenAI.\n' }}
{{- 'Knowledge cutoff: 2024-06\nCurrent date: ' ~ strftime_now('%Y-%m-%d') ~ '\n\n' }}
{{- 'Reasoning: ' ~ reasoning_effort | default('medium') ~ '\n\n' }}
{{- '# Valid channels: analysis, commentary, final. ' }}
{{- 'Channel must be included for every message.<|end|>' }}
{%- for message in messages -%}
{%- if message.role == 'system' or message.role == 'developer' -%}
{{ '<|start|>developer<|message|># Instructions\n\n' ~ message.content ~ '<|end|>' }}
{%- elif message.role == 'assistant' -%}
{{ '<|start|>assistant<|channel|>final<|message|>' ~ (message.content or '') ~ '<|end|>' }}
{%- else -%}
{{ '<|start|>' ~ message.role ~ '<|message|>' ~ message.content ~ '<|end|>' }}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|start|>assistant' }}{%- endif -%}
)jinja";

constexpr std::string_view kGlm4 = R"jinja({{- '[gMASK]<sop>' -}}
{%- for message in messages -%}
{{ '<|' + message.role + '|>\n' + (message.content or '') }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|assistant|>' }}{%- endif -%}
)jinja";

constexpr std::string_view kOlmo2 = R"jinja({{- bos_token -}}
{%- for message in messages -%}
{{ '<|' + message.role + '|>\n' + (message.content or '') }}
{{- eos_token + '\n' if message.role == 'assistant' else '\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|assistant|>\n' }}{%- endif -%}
)jinja";

constexpr std::string_view kExaone = R"jinja({%- for message in messages -%}
{{ '[|' + message.role + '|]' + (message.content or '') }}
{{- '\n' if message.role == 'user' else '[|endofturn|]\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '[|assistant|]' }}{%- endif -%}
)jinja";

constexpr std::string_view kMiniCpm = R"jinja({{- bos_token -}}
{%- for message in messages -%}
{%- if message.role == 'user' -%}{{ '<用户>' + message.content | trim + '<AI>' }}
{%- else -%}{{ (message.content or '') | trim }}
{%- endif -%}
{%- endfor -%}
)jinja";

constexpr std::string_view kFalcon = R"jinja({%- for message in messages -%}
{{ '\n\n' if not loop.first }}
{{- {'user': 'User: ', 'assistant': 'Assistant: '}.get(message.role, '') }}
{{- (message.content or '') | trim }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '\n\nAssistant:' }}{%- endif -%}
)jinja";

constexpr std::array<BuiltinTemplate, 17> kTemplates = {{
    {"chatml", kChatMl},
    {"llama2", kLlama2},
    {"llama3", kLlama3},
    {"mistral", kMistral},
    {"gemma", kGemma},
    {"phi3", kPhi3},
    {"zephyr", kZephyr},
    {"deepseek", kDeepSeek},
    {"deepseek2", kDeepSeek2},
    {"granite", kGranite},
    {"command-r", kCommandR},
    {"gpt-oss", kGptOss},
    {"glm4", kGlm4},
    {"olmo2", kOlmo2},
    {"exaone", kExaone},
    {"minicpm", kMiniCpm},
    {"falcon", kFalcon},
}};

// Which template an architecture's models use. With a marker, only when the vocabulary has that
// token; the first line that fits counts.
struct Choice {
  std::string_view architecture;
  std::string_view name;
  std::string_view marker;
};

constexpr Choice kChoices[] = {
    {"llama", "llama3", "<|start_header_id|>"},
    {"llama", "chatml", "<|im_start|>"},
    {"llama", "granite", "<|start_of_role|>"},
    {"llama", "mistral", "[INST]"},
    {"llama", "phi3", "<|end|>"},
    {"llama4", "llama3", "<|start_header_id|>"},
    {"mistral3", "mistral", ""},
    {"ministral3", "mistral", ""},
    {"qwen", "chatml", ""},
    {"qwen2", "deepseek", "<｜User｜>"},
    {"qwen2", "chatml", ""},
    {"qwen2moe", "chatml", ""},
    {"qwen2vl", "chatml", ""},
    {"qwen3", "chatml", ""},
    {"qwen3moe", "chatml", ""},
    {"qwen3next", "chatml", ""},
    {"qwen3vl", "chatml", ""},
    {"qwen3vlmoe", "chatml", ""},
    {"smollm3", "chatml", ""},
    {"internlm2", "chatml", ""},
    {"lfm2", "chatml", ""},
    {"lfm2moe", "chatml", ""},
    {"orion", "chatml", "<|im_start|>"},
    {"gemma", "gemma", ""},
    {"gemma2", "gemma", ""},
    {"gemma3", "gemma", ""},
    {"gemma3n", "gemma", ""},
    {"phi3", "chatml", "<|im_start|>"},
    {"phi3", "phi3", ""},
    {"phimoe", "phi3", ""},
    {"stablelm", "chatml", "<|im_start|>"},
    {"stablelm", "zephyr", ""},
    {"deepseek", "deepseek2", ""},
    {"deepseek2", "deepseek", "<｜User｜>"},
    {"deepseek2", "deepseek2", ""},
    {"granite", "granite", ""},
    {"granitemoe", "granite", ""},
    {"granitehybrid", "granite", ""},
    {"command-r", "command-r", ""},
    {"cohere2", "command-r", ""},
    {"gpt-oss", "gpt-oss", ""},
    {"chatglm", "glm4", ""},
    {"glm4", "glm4", ""},
    {"glm4moe", "glm4", ""},
    {"olmo2", "olmo2", ""},
    {"olmoe", "olmo2", ""},
    {"exaone", "exaone", ""},
    {"exaone4", "exaone", ""},
    {"minicpm", "minicpm", ""},
    {"falcon", "falcon", ""},
};

}  // namespace

std::optional<BuiltinTemplate> builtin_template_by_name(std::string_view name) {
  for (const BuiltinTemplate& entry : kTemplates) {
    if (entry.name == name) return entry;
  }
  return std::nullopt;
}

std::optional<BuiltinTemplate> builtin_template(std::string_view architecture,
                                                const HasToken& has_token) {
  for (const Choice& choice : kChoices) {
    if (choice.architecture != architecture) continue;
    const bool fits = choice.marker.empty() || (has_token && has_token(choice.marker));
    if (fits) return builtin_template_by_name(choice.name);
  }
  return std::nullopt;
}

std::vector<std::string_view> builtin_template_names() {
  std::vector<std::string_view> names;
  names.reserve(std::size(kTemplates));
  for (const BuiltinTemplate& entry : kTemplates) names.push_back(entry.name);
  return names;
}

}  // namespace llmrun::chat
