// From a name to a file and the layers of its manifest.
#include "cli/batch_model.h"

#include "base/error.h"
#include "store/parameters.h"

namespace llmrun::cli {

Result<batch::FoundModel> find_batch_model(LoadFlags load, const std::string& name) {
  batch::FoundModel found;
  LLMRUN_ASSIGN(found.path, load.find(name));
  found.load = load.value();
  if (load.layers.system)
    found.opening.push_back({.role = "system", .content = *load.layers.system});
  for (const Message& message : load.layers.messages) found.opening.push_back(message);
  for (const Message& message : found.opening) {
    found.identity += fmt::format("{}: {}\n", message.role, message.content);
  }
  for (const store::Parameter& parameter : load.layers.parameters) {
    found.identity += fmt::format("{}={}\n", parameter.name, parameter.value);
  }
  found.apply_defaults = [parameters = load.layers.parameters](GenerateOptions& options) {
    store::RunDefaults defaults;
    defaults.generate = std::move(options);
    (void)store::apply_parameters(parameters, defaults);  // what has no effect here is left out
    options = std::move(defaults.generate);
  };
  return found;
}

}  // namespace llmrun::cli
