// What travels with a model beside its weights: the small layers of its manifest, read and checked.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "llmrun/error.h"
#include "llmrun/message.h"
#include "store/local_store.h"
#include "store/parameters.h"

namespace llmrun::store {

struct ModelLayers {
  std::optional<std::string> chat_template;  // Go text/template
  std::optional<std::string> system;
  std::vector<Message> messages;  // what a chat begins with
  std::vector<Parameter> parameters;
  std::vector<std::string> licenses;
  std::vector<std::filesystem::path> adapters;
  std::vector<std::filesystem::path> projectors;
};

// Nothing when the model is a plain file. kBadModel, naming the layer, for one that is missing, of
// another size than the manifest says, or malformed.
Result<ModelLayers> read_layers(const StoredModel& model);

// The Modelfile that makes such a model of `from`.
Modelfile as_modelfile(const ModelLayers& layers, const std::string& from);

}  // namespace llmrun::store
