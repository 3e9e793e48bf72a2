// The stores of an Ollama on this machine, read in place.
#include <string>

#include "base/error.h"
#include "store/ollama_stores.h"
#include "store/source.h"

namespace llmrun::store {
namespace {

class OllamaStoresSource : public Source {
 public:
  [[nodiscard]] bool speaks(const std::string& name) const override {
    return parse_model_name(name).has_value();
  }
  [[nodiscard]] std::string where() const override {
    std::string folders;
    for (const LocalStore& store : ollama_stores()) {
      folders += fmt::format("{}{}", folders.empty() ? "" : ", ", store.root().string());
    }
    return folders.empty() ? "Ollama's stores (there is none)" : "Ollama's store " + folders;
  }
  [[nodiscard]] std::optional<StoredModel> find(const std::string& name) const override {
    const auto parsed = parse_model_name(name);
    if (!parsed) return std::nullopt;
    for (const LocalStore& store : ollama_stores()) {
      if (auto model = store.find(*parsed)) return model;
    }
    return std::nullopt;
  }
  [[nodiscard]] std::vector<StoredModel> list() const override {
    std::vector<StoredModel> models;
    for (const LocalStore& store : ollama_stores()) {
      for (StoredModel& model : store.list()) models.push_back(std::move(model));
    }
    return models;
  }
};

}  // namespace

std::unique_ptr<Source> make_ollama_stores_source() {
  return std::make_unique<OllamaStoresSource>();
}

}  // namespace llmrun::store
