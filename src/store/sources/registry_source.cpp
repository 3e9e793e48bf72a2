// Registries: Ollama's, and every other one that speaks the same protocol.
#include "base/error.h"
#include "store/ollama_stores.h"
#include "store/paths.h"
#include "store/pull.h"
#include "store/registry.h"
#include "store/source.h"

namespace llmrun::store {
namespace {

class RegistrySource : public Source {
 public:
  [[nodiscard]] bool speaks(const std::string& name) const override {
    const auto parsed = parse_model_name(name);
    return parsed && parsed->host != kCatalogHost;
  }
  [[nodiscard]] std::string where() const override {
    return fmt::format("the registry that the name says ({})", kDefaultHost);
  }
  [[nodiscard]] std::optional<StoredModel> find(const std::string&) const override {
    return std::nullopt;  // once pulled, a model is in llmrun's store
  }
  [[nodiscard]] bool is_remote() const override { return true; }

  Result<RemoteModel> locate(const std::string& name, const SourceOptions& options) const override {
    LLMRUN_ASSIGN(const ModelName parsed, parse_model_name(name));
    const HttpClient client(http_options(options));
    LLMRUN_ASSIGN(const Registry registry, Registry::of(client, parsed));
    LLMRUN_ASSIGN(const std::string text, registry.fetch_manifest(parsed));
    LLMRUN_ASSIGN(const Manifest manifest, parse_manifest(text));
    const Layer* const layer = manifest.find(LayerKind::kModel);
    if (layer == nullptr) {
      return make_error(ErrorCode::kUnsupported, "{} has no GGUF file", parsed.text());
    }
    const DownloadRequest download = registry.download_request(*layer);
    RemoteModel model;
    model.name = parsed.text();
    model.files.push_back({parsed.text(), download.url, layer->size, layer->sha256});
    model.authorization = download.authorization;
    return model;
  }

  Result<StoredModel> fetch(const std::string& name, const SourceOptions& options) const override {
    LLMRUN_ASSIGN(const ModelName parsed, parse_model_name(name));
    const HttpClient client(http_options(options));
    return pull_from_registry(client, parsed, LocalStore(models_dir()),
                              {.approve = options.approve, .others = ollama_stores()});
  }
};

}  // namespace

std::unique_ptr<Source> make_registry_source() { return std::make_unique<RegistrySource>(); }

}  // namespace llmrun::store
