// The models on this machine; see local_store.h.
#include "store/local_store.h"

#include <algorithm>
#include <chrono>
#include <span>

#include "base/error.h"
#include "base/file_io.h"
#include "base/sha256.h"
#include "store/folder.h"

namespace llmrun::store {
namespace {

namespace fs = std::filesystem;

constexpr int kManifestDepth = 3;  // of the file in host/namespace/model/tag
constexpr size_t kMaxModels = 100'000;

int64_t seconds_since_1970(fs::file_time_type time) {
  const auto system = std::chrono::file_clock::to_sys(time);
  return std::chrono::duration_cast<std::chrono::seconds>(system.time_since_epoch()).count();
}

}  // namespace

fs::path LocalStore::blob_path(std::string_view sha256) const {
  return root_ / "blobs" / fmt::format("sha256-{}", sha256);
}

fs::path LocalStore::checks_path(std::string_view sha256) const {
  return root_ / "checks" / fmt::format("sha256-{}", sha256);
}

Result<Manifest> LocalStore::read_manifest_file(const fs::path& path) {
  LLMRUN_ASSIGN(const std::string text, read_file(path.string(), kMaxManifestBytes));
  auto manifest = parse_manifest(text);
  if (!manifest) return with_context(manifest.error(), path.string());
  return manifest;
}

Result<std::set<std::string>> LocalStore::needed_blobs() const {
  std::set<std::string> needed;
  for (const Named& named : names()) {
    const auto manifest = read_manifest_file(named.manifest);
    if (!manifest) {
      return make_error(ErrorCode::kBadModel,
                        "the manifest {} cannot be read, so what it needs is not known: {}; delete "
                        "the model first: llmrun rm {}",
                        named.manifest.string(), manifest.error().message, named.name.text());
    }
    for (const Layer& layer : manifest->all_blobs()) needed.insert(layer.sha256);
  }
  return needed;
}

fs::path LocalStore::manifest_path(const ModelName& name) const {
  return root_ / "manifests" / name.path();
}

// Every manifest lies exactly four folders deep, as host/namespace/model/tag.
std::vector<LocalStore::Named> LocalStore::names() const {
  std::vector<Named> found;
  std::error_code error;
  const fs::path folder = root_ / "manifests";
  for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error)) {
    if (it.depth() > kManifestDepth) {
      it.disable_recursion_pending();
      continue;
    }
    if (it.depth() != kManifestDepth || !it->is_regular_file(error)) continue;
    auto name = name_of_path(it->path().lexically_relative(folder));
    if (name) found.push_back({std::move(*name), it->path()});
    if (found.size() >= kMaxModels) break;
  }
  return found;
}

std::optional<StoredModel> LocalStore::read_manifest(const Named& named) const {
  const auto text = read_file(named.manifest, kMaxManifestBytes);
  if (!text) return std::nullopt;
  const auto manifest = parse_manifest(*text);
  const Layer* const layer = manifest ? manifest->find(LayerKind::kModel) : nullptr;
  if (layer == nullptr) return std::nullopt;
  StoredModel model;
  model.name = named.name.text();
  model.manifest = named.manifest;
  model.place = place_;
  const auto id = sha256_hex(std::as_bytes(std::span(*text)));
  if (!id) return std::nullopt;
  model.id = id->substr(0, 12);
  model.file = blob_path(layer->sha256);
  model.total_size = manifest->total_bytes();
  std::error_code error;
  if (!fs::exists(model.file, error)) {
    model.file = root_ / "blobs" / layer->digest();  // stores made before 2024
  }
  model.size = fs::file_size(model.file, error);
  if (error) return std::nullopt;
  const auto time = fs::last_write_time(named.manifest, error);
  if (!error) model.modified = seconds_since_1970(time);
  return model;
}

std::vector<StoredModel> LocalStore::list() const {
  std::vector<StoredModel> models;
  for (const Named& named : names()) {
    if (auto model = read_manifest(named)) models.push_back(std::move(*model));
  }
  std::sort(models.begin(), models.end(),
            [](const StoredModel& a, const StoredModel& b) { return a.name < b.name; });
  return models;
}

std::optional<StoredModel> LocalStore::find(const ModelName& name) const {
  if (auto model = read_manifest({name, manifest_path(name)})) return model;
  std::vector<ModelName> wanted = {name};
  if (name.is_short()) {
    wanted.push_back(name);
    wanted.back().host = kCatalogHost;
  }
  const std::vector<Named> all = names();
  for (const ModelName& one : wanted) {
    for (const Named& named : all) {
      if (!same_model(named.name, one)) continue;
      if (auto model = read_manifest(named)) return model;
    }
  }
  if (name.has_tag) return std::nullopt;
  std::optional<StoredModel> only;
  for (const Named& named : all) {
    for (ModelName one : wanted) {
      one.tag = named.name.tag;
      if (!same_model(named.name, one)) continue;
      auto model = read_manifest(named);
      if (!model) continue;
      if (only) return std::nullopt;  // several tags: the name alone does not say which
      only = std::move(model);
    }
  }
  return only;
}

Result<void> LocalStore::publish(const ModelName& name, std::string_view sha256, uint64_t size,
                                 const std::string& config) const {
  LLMRUN_ASSIGN(const std::string config_digest, sha256_hex(std::as_bytes(std::span(config))));
  const Layer config_layer{LayerKind::kConfig, media_type_of(LayerKind::kConfig), config_digest,
                           config.size()};
  const Layer model{LayerKind::kModel, media_type_of(LayerKind::kModel), std::string(sha256), size};
  const fs::path path = manifest_path(name);
  LLMRUN_TRY(make_folder(root_ / "blobs"));
  LLMRUN_TRY(make_folder(path.parent_path()));
  LLMRUN_TRY(write_file_atomic(blob_path(config_digest), config));
  return write_file_atomic(path, write_manifest(config_layer, {&model, 1}));
}

}  // namespace llmrun::store
