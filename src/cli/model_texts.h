// Texts that travel with a model, each of which `llmrun show` prints alone when asked.
#pragma once

#include <span>
#include <string>

#include "llmrun/model_info.h"
#include "store/model_layers.h"

namespace llmrun::cli {

struct ModelText {
  const char* option;
  const char* help;
  const char* missing;  // "it has no …"
  std::string (*text)(const ModelInfo&, const store::ModelLayers&, const std::string& name);
};

// All of them, the template first.
std::span<const ModelText> model_texts();

// The model's own, else that of its layer; empty: it has none.
std::string chat_template_text(const ModelInfo& info, const store::ModelLayers& layers);

}  // namespace llmrun::cli
