// From what a person typed to a file; see resolver.h.
#include "store/resolver.h"

#include <algorithm>
#include <string>
#include <system_error>

#include "base/edit_distance.h"
#include "base/error.h"
#include "store/catalog.h"
#include "store/fetch.h"
#include "store/paths.h"

namespace llmrun::store {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxSuggestions = 3;

bool looks_like_a_path(std::string_view text) {
  return text.find('/') != std::string_view::npos || text.ends_with(".gguf");
}

// Known names, the nearest first.
std::string suggestions(std::string_view name, const LocalStore& store) {
  std::vector<std::string> names;
  for (const StoredModel& model : store.list()) names.push_back(model.name);
  for (const CatalogEntry& entry : catalog()) names.push_back(entry.name);
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  std::stable_sort(names.begin(), names.end(), [&](const auto& a, const auto& b) {
    return edit_distance(name, a) < edit_distance(name, b);
  });
  if (names.size() > kMaxSuggestions) names.resize(kMaxSuggestions);
  return fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace

Result<fs::path> resolve_model(std::string_view name, const ResolveOptions& options) {
  std::error_code error;
  if (fs::exists(fs::path(name), error) && !fs::is_directory(fs::path(name), error)) {
    return fs::path(name);
  }
  if (looks_like_a_path(name)) {
    return make_error(ErrorCode::kNotFound, "there is no file {}", name);
  }
  LLMRUN_ASSIGN(const ModelName parsed, parse_model_name(name));
  const LocalStore store(models_dir());
  if (const auto model = store.find(parsed)) return model->file;
  const CatalogEntry* entry = find_in_catalog(parsed);
  if (entry == nullptr) {
    return make_error(
        ErrorCode::kNotFound,
        "no model is called {}: it is neither a file, nor in the store {}, nor in the "
        "catalogue. Nearest names: {}",
        name, store.root().string(), suggestions(name, store));
  }
  if (!options.fetch) {
    return make_error(ErrorCode::kNotFound, "{} is not on this machine yet; run: llmrun pull {}",
                      entry->name, entry->name);
  }
  return fetch_model(*entry, store);
}

std::vector<StoredModel> list_models() { return LocalStore(models_dir()).list(); }

}  // namespace llmrun::store
