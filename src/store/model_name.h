// Names of models as people type them: model, model:tag.
#pragma once

#include <string>
#include <string_view>

#include "llmrun/error.h"

namespace llmrun::store {

// "smollm2:135m" → {"smollm2", "135m"}; without a tag: "latest". Names are compared without case.
struct ModelName {
  std::string model;
  std::string tag = "latest";
  bool has_tag = false;

  [[nodiscard]] std::string text() const { return model + ":" + tag; }
};

// Rules of Ollama's names: the first character is a letter, a digit or '_'; then '-' and '.' too;
// 1 to 80 characters a part. So no name can lead out of the store. kUsage otherwise.
Result<ModelName> parse_model_name(std::string_view text);

}  // namespace llmrun::store
