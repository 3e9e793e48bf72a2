// Texts that travel with a model; see model_texts.h.
#include "cli/model_texts.h"

#include <fmt/format.h>

#include "cli/json.h"
#include "store/modelfile.h"

namespace llmrun::cli {
namespace {

std::string license_text(const ModelInfo& info, const store::ModelLayers& layers,
                         const std::string&) {
  std::string text;
  for (const std::string& license : layers.licenses) text += license + "\n";
  return text.empty() && !info.license.empty() ? info.license + "\n" : text;
}

std::string modelfile_text(const ModelInfo& info, const store::ModelLayers& layers,
                           const std::string& name) {
  store::Modelfile file = store::as_modelfile(layers, info.path.string());
  return store::write_modelfile(
      file, fmt::format("Made by llmrun show --modelfile. To build on this model by its name, "
                        "write\nFROM {}",
                        name));
}

std::string parameters_text(const ModelInfo&, const store::ModelLayers& layers,
                            const std::string&) {
  std::string text;
  for (const store::Parameter& each : layers.parameters) {
    text += fmt::format("{:<30} {}\n", each.name,
                        each.name == "stop" ? to_text(Json(each.value)) : each.value);
  }
  return text;
}

std::string system_text(const ModelInfo&, const store::ModelLayers& layers, const std::string&) {
  return layers.system ? *layers.system + "\n" : std::string();
}

std::string template_text(const ModelInfo& info, const store::ModelLayers& layers,
                          const std::string&) {
  return chat_template_text(info, layers);
}

constexpr ModelText kTexts[] = {
    {"template", "print the chat template and nothing else", "chat template of its own",
     template_text},
    {"license", "print the license and nothing else", "license", license_text},
    {"modelfile", "print a Modelfile that makes this model, and nothing else", "Modelfile",
     modelfile_text},
    {"parameters", "print the parameters that travel with it and nothing else",
     "parameters of its own", parameters_text},
    {"system", "print its system message and nothing else", "system message", system_text},
};

}  // namespace

std::span<const ModelText> model_texts() { return kTexts; }

std::string chat_template_text(const ModelInfo& info, const store::ModelLayers& layers) {
  return info.chat_template.empty() ? layers.chat_template.value_or("") : info.chat_template;
}

}  // namespace llmrun::cli
