// Ollama's stores on this machine; see ollama_stores.h.
#include "store/ollama_stores.h"

#include <algorithm>
#include <system_error>

#include "store/paths.h"

namespace llmrun::store {

namespace fs = std::filesystem;

std::vector<LocalStore> ollama_stores() {
  std::error_code error;
  std::vector<fs::path> seen = {fs::weakly_canonical(models_dir(), error)};
  std::vector<LocalStore> stores;
  for (const fs::path& folder : ollama_dirs()) {
    const fs::path real = fs::canonical(folder, error);
    if (error || std::find(seen.begin(), seen.end(), real) != seen.end()) continue;
    seen.push_back(real);
    stores.emplace_back(folder, "Ollama");
  }
  return stores;
}

}  // namespace llmrun::store
