// Go template source to a tree.
#pragma once

#include <memory>
#include <string_view>

#include "chat/go_template/ast.h"
#include "llmrun/error.h"

namespace llmrun::chat::go_template {

// Errors: kBadModel, with the line and column in the context.
Result<std::shared_ptr<Template>> parse_template(std::string_view source);

}  // namespace llmrun::chat::go_template
