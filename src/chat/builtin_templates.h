// Chat templates for models that carry none, chosen by architecture.
#pragma once

#include <functional>
#include <optional>
#include <string_view>
#include <vector>

namespace llmrun::chat {

struct BuiltinTemplate {
  std::string_view name;    // "chatml", "llama3", …
  std::string_view source;  // Jinja
};

// Whether the model's vocabulary has a token with exactly this text.
using HasToken = std::function<bool(std::string_view)>;

// The template that models of `architecture` (GGUF general.architecture) use; none when the
// architecture is unknown or its models differ. Where an architecture is shared by families with
// different templates (llama), the vocabulary decides: a template fits when its markers are tokens.
// The caller tells the user that a built-in template stands in for the missing one.
std::optional<BuiltinTemplate> builtin_template(std::string_view architecture,
                                                const HasToken& has_token = {});

// By the template's own name, for `--chat-template NAME`.
std::optional<BuiltinTemplate> builtin_template_by_name(std::string_view name);

// All names, for help texts.
std::vector<std::string_view> builtin_template_names();

}  // namespace llmrun::chat
