// Tokens to syntax tree.
#pragma once

#include <memory>
#include <string_view>

#include "chat/jinja/ast.h"
#include "llmrun/error.h"

namespace llmrun::chat::jinja {

// The error's context has line and column.
Result<std::shared_ptr<const Template>> parse_template(std::string_view source);

}  // namespace llmrun::chat::jinja
