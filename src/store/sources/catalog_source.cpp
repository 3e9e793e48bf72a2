// The built-in catalogue of short names, whose files travel inside Python packages.
#include "base/error.h"
#include "store/catalog.h"
#include "store/fetch.h"
#include "store/paths.h"
#include "store/source.h"

namespace llmrun::store {
namespace {

const CatalogEntry* entry_of(const std::string& name) {
  const auto parsed = parse_model_name(name);
  return parsed ? find_in_catalog(*parsed) : nullptr;
}

class BuiltInCatalog : public Source {
 public:
  [[nodiscard]] bool speaks(const std::string& name) const override {
    return entry_of(name) != nullptr;
  }
  [[nodiscard]] std::string where() const override { return "the catalogue"; }
  [[nodiscard]] std::optional<StoredModel> find(const std::string&) const override {
    return std::nullopt;  // once fetched, a model is in llmrun's store
  }
  [[nodiscard]] std::vector<std::string> names() const override {
    std::vector<std::string> names;
    for (const CatalogEntry& entry : catalog()) names.push_back(entry.name);
    return names;
  }
  [[nodiscard]] bool is_remote() const override { return true; }
  [[nodiscard]] bool can_change() const override { return false; }  // it names a SHA-256
  Result<StoredModel> fetch(const std::string& name, const SourceOptions& options) const override {
    const CatalogEntry* entry = entry_of(name);
    if (entry == nullptr) {
      return make_error(ErrorCode::kNotFound, "the catalogue has no {}", name);
    }
    if (options.approve) LLMRUN_TRY(options.approve(entry->name, entry->size));
    const LocalStore store(models_dir());
    LLMRUN_TRY(fetch_model(*entry, store));
    LLMRUN_ASSIGN(const ModelName parsed, parse_model_name(entry->name));
    if (auto model = store.find(parsed)) return std::move(*model);
    return make_error(ErrorCode::kIo, "{} was fetched and is gone again", entry->name);
  }
};

}  // namespace

std::unique_ptr<Source> make_catalog_source() { return std::make_unique<BuiltInCatalog>(); }

}  // namespace llmrun::store
