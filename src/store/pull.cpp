// From a registry into the store; see pull.h.
#include "store/pull.h"

#include <algorithm>
#include <optional>
#include <system_error>

#include "base/error.h"
#include "base/file_io.h"
#include "base/sha256.h"
#include "base/units.h"
#include "store/download.h"
#include "store/folder.h"
#include "store/link_file.h"
#include "store/manifest.h"
#include "store/partial_file.h"
#include "store/registry.h"
#include "store/say.h"
#include "store/store_lock.h"

namespace llmrun::store {
namespace {

namespace fs = std::filesystem;

class Pull {
 public:
  Pull(const HttpClient& client, const ModelName& name, const LocalStore& store,
       const PullOptions& options)
      : client_(client), name_(name), store_(store), options_(options) {}

  Result<StoredModel> run() {
    LLMRUN_ASSIGN(const Registry registry, Registry::of(client_, name_));
    if (options_.verbose) say("pulling manifest of {} from {}", name_.text(), registry.base());
    LLMRUN_ASSIGN(const std::string text, registry.fetch_manifest(name_));
    if (auto model = find_the_same(text)) return std::move(*model);
    auto manifest = parse_manifest(text);
    if (!manifest) {
      return with_context(manifest.error(), fmt::format("{} of {}", name_.text(), registry.base()));
    }
    LLMRUN_TRY(check_config(registry, *manifest));
    LLMRUN_ASSIGN(const FileDescriptor lock, lock_for_adding(store_.root()));
    LLMRUN_TRY(make_folder(store_.root() / "blobs"));
    LLMRUN_TRY(fetch_layers(registry, *manifest));
    LLMRUN_TRY(publish(text));
    if (auto model = store_.find(name_)) return std::move(*model);
    return make_error(ErrorCode::kIo, "{} was fetched and is gone again", name_.text());
  }

 private:
  // Read before the layers are fetched: a model that cannot run here is refused early.
  Result<void> check_config(const Registry& registry, const Manifest& manifest) {
    if (!manifest.config.sha256.empty()) {
      LLMRUN_ASSIGN(config_, registry.fetch_small_blob(manifest.config));
    }
    auto result = check_can_run(manifest, config_);
    if (!result) return with_context(result.error(), name_.text());
    return result;
  }

  // Another tool's store that has the very model is as good as ours.
  [[nodiscard]] std::optional<StoredModel> find_the_same(const std::string& text) const {
    for (const LocalStore& other : options_.others) {
      const auto theirs = read_file(other.manifest_path(name_).string(), kMaxManifestBytes);
      if (theirs && *theirs == text) return other.find(name_);
    }
    return std::nullopt;
  }

  [[nodiscard]] bool is_here(const Layer& layer) const {
    std::error_code error;
    return fs::file_size(store_.blob_path(layer.sha256), error) == layer.size && !error;
  }

  Result<void> fetch_layers(const Registry& registry, const Manifest& manifest) {
    std::vector<Layer> missing;
    uint64_t n_bytes = 0;
    for (const Layer& layer : manifest.all_blobs()) {
      if (layer.kind == LayerKind::kConfig || is_here(layer)) continue;
      LLMRUN_TRY(remove_wrong_size(layer));
      if (link_from_elsewhere(layer)) continue;
      missing.push_back(layer);
      n_bytes += layer.size;
    }
    if (!missing.empty()) {
      if (options_.approve) LLMRUN_TRY(options_.approve(name_.text(), n_bytes));
      LLMRUN_TRY(
          check_disk_space(store_.root(), n_bytes - bytes_on_their_way(missing), name_.text()));
    }
    for (const Layer& layer : missing) {
      DownloadRequest request = registry.download_request(layer);
      request.target = store_.blob_path(layer.sha256);
      request.checks = store_.checks_path(layer.sha256);
      LLMRUN_TRY(download(client_, request));
    }
    if (manifest.config.sha256.empty() || is_here(manifest.config)) return {};
    return write_file_atomic(store_.blob_path(manifest.config.sha256), config_);
  }

  // A blob has the size that its manifests say, or something cut it short.
  Result<void> remove_wrong_size(const Layer& layer) const {
    const fs::path path = store_.blob_path(layer.sha256);
    std::error_code error;
    if (!fs::exists(fs::symlink_status(path, error))) return {};
    say("{} in the store does not have the {} bytes that it should; it is fetched again",
        layer.sha256.substr(0, 12), layer.size);
    fs::remove(path, error);  // a link goes, not what it points to
    if (!error) return {};
    return make_error(ErrorCode::kIo, "cannot remove {}: {}", path.string(), error.message());
  }

  // What earlier tries left takes disk space already.
  [[nodiscard]] uint64_t bytes_on_their_way(const std::vector<Layer>& layers) const {
    uint64_t total = 0;
    for (const Layer& layer : layers) {
      const std::string partial = store_.blob_path(layer.sha256).string() + "-partial";
      total += std::min(layer.size, bytes_allocated(partial));
    }
    return total;
  }

  [[nodiscard]] bool link_from_elsewhere(const Layer& layer) const {
    for (const LocalStore& other : options_.others) {
      const fs::path blob = other.blob_path(layer.sha256);
      std::error_code error;
      if (fs::file_size(blob, error) != layer.size || error) continue;
      const auto digest = sha256_file(blob.string());
      if (!digest || *digest != layer.sha256) continue;
      if (!link_file(blob, store_.blob_path(layer.sha256))) continue;
      if (options_.verbose) say("{} is linked from {}", layer.sha256.substr(0, 12), blob.string());
      return true;
    }
    return false;
  }

  Result<void> publish(const std::string& text) const {
    const fs::path path = store_.manifest_path(name_);
    const auto old = read_file(path.string(), kMaxManifestBytes);
    if (old && *old == text) {
      if (options_.verbose) say("the registry has no newer one");
      return {};
    }
    LLMRUN_TRY(make_folder(path.parent_path()));
    if (options_.verbose) say("writing manifest");
    LLMRUN_TRY(write_file_atomic(path.string(), text));
    if (old && options_.verbose) {
      say("{} has changed; 'llmrun prune' frees what only the model before had", name_.text());
    }
    return {};
  }

  const HttpClient& client_;
  const ModelName& name_;
  const LocalStore& store_;
  const PullOptions& options_;
  std::string config_;
};

}  // namespace

Result<StoredModel> pull_from_registry(const HttpClient& client, const ModelName& name,
                                       const LocalStore& store, const PullOptions& options) {
  return Pull(client, name, store, options).run();
}

}  // namespace llmrun::store
