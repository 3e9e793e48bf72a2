// llmrun's own store, whose names are Ollama's.
#include "base/error.h"
#include "store/paths.h"
#include "store/source.h"

namespace llmrun::store {
namespace {

class OwnStoreSource : public Source {
 public:
  [[nodiscard]] bool speaks(const std::string& name) const override {
    return parse_model_name(name).has_value();
  }
  [[nodiscard]] std::string where() const override {
    return fmt::format("llmrun's store {}", models_dir().string());
  }
  [[nodiscard]] std::optional<StoredModel> find(const std::string& name) const override {
    const auto parsed = parse_model_name(name);
    return parsed ? LocalStore(models_dir()).find(*parsed) : std::nullopt;
  }
  [[nodiscard]] std::vector<StoredModel> list() const override {
    return LocalStore(models_dir()).list();
  }
};

}  // namespace

std::unique_ptr<Source> make_own_store_source() { return std::make_unique<OwnStoreSource>(); }

}  // namespace llmrun::store
