// The parameters that travel with a model (PARAMETER in a Modelfile, the "params" layer), by
// Ollama's names, and what they mean here.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "llmrun/error.h"
#include "llmrun/generation.h"
#include "llmrun/model.h"
#include "store/modelfile.h"

namespace llmrun::store {

// One parameter with its value as text; "stop" comes once per text.
struct Parameter {
  std::string name;
  std::string value;
};

// What a run starts with; what the parameters do not name stays as it is.
struct RunDefaults {
  GenerateOptions generate;
  ContextOptions context;
  LoadOptions load;
};

// Sets what the parameters name. Returns a sentence for each that has no effect here, or whose
// value cannot be: a model from elsewhere is not refused for them.
std::vector<std::string> apply_parameters(const std::vector<Parameter>& parameters,
                                          RunDefaults& defaults);

// The params layer of a Modelfile's parameters: a JSON object with values of their types. kUsage
// names the line of one that is unknown or has a bad value; of a name that is repeated the last one
// counts, but for "stop". `warnings` gets a sentence for each that has no effect here.
Result<std::string> parameters_to_json(const std::vector<ModelfileParameter>& parameters,
                                       std::vector<std::string>& warnings);
// kBadModel when it is no JSON object; values of strange types are left out.
Result<std::vector<Parameter>> parameters_from_json(std::string_view json);

}  // namespace llmrun::store
