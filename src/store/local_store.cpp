// The models on this machine; see local_store.h.
#include "store/local_store.h"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <span>

#include "base/error.h"
#include "base/file_io.h"
#include "base/sha256.h"

namespace llmrun::store {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr std::string_view kManifestType = "application/vnd.docker.distribution.manifest.v2+json";
constexpr std::string_view kConfigType = "application/vnd.docker.container.image.v1+json";
constexpr std::string_view kModelType = "application/vnd.ollama.image.model";
constexpr std::string_view kDigestPrefix = "sha256:";
constexpr uint64_t kMaxManifestBytes = 1 << 20;
constexpr int kManifestDepth = 3;  // of the file in host/namespace/model/tag
constexpr size_t kMaxModels = 100'000;

int64_t seconds_since_1970(fs::file_time_type time) {
  const auto system = std::chrono::file_clock::to_sys(time);
  return std::chrono::duration_cast<std::chrono::seconds>(system.time_since_epoch()).count();
}

bool is_hex_digest(std::string_view text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// The digest of the manifest's model layer; nothing when there is none or it is malformed.
std::optional<std::string> model_digest(const Json& manifest) {
  if (!manifest.is_object() || !manifest.contains("layers")) return std::nullopt;
  for (const Json& layer : manifest["layers"]) {
    if (!layer.is_object() || layer.value("mediaType", Json()) != kModelType) continue;
    const Json digest = layer.value("digest", Json());
    if (!digest.is_string()) return std::nullopt;
    const std::string text = digest.get<std::string>();
    if (text.rfind(kDigestPrefix, 0) != 0) return std::nullopt;
    const std::string hex = text.substr(kDigestPrefix.size());
    if (!is_hex_digest(hex)) return std::nullopt;  // no path out of the store
    return hex;
  }
  return std::nullopt;
}

Json layer(std::string_view type, std::string_view sha256, uint64_t size) {
  return Json{{"mediaType", type}, {"digest", fmt::format("sha256:{}", sha256)}, {"size", size}};
}

}  // namespace

fs::path LocalStore::blob_path(std::string_view sha256) const {
  return root_ / "blobs" / fmt::format("sha256-{}", sha256);
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
  const Json manifest = Json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (manifest.is_discarded()) return std::nullopt;
  const auto digest = model_digest(manifest);
  if (!digest) return std::nullopt;
  StoredModel model;
  model.name = named.name.text();
  model.manifest = named.manifest;
  model.place = place_;
  const auto id = sha256_hex(std::as_bytes(std::span(*text)));
  if (!id) return std::nullopt;
  model.id = id->substr(0, 12);
  model.file = blob_path(*digest);
  std::error_code error;
  if (!fs::exists(model.file, error)) {
    model.file = root_ / "blobs" / fmt::format("sha256:{}", *digest);  // stores made before 2024
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

Result<void> LocalStore::publish(const ModelName& name, std::string_view sha256,
                                 uint64_t size) const {
  const std::string config = Json{{"model_format", "gguf"}}.dump();
  LLMRUN_ASSIGN(const std::string config_digest, sha256_hex(std::as_bytes(std::span(config))));
  Json config_entry = layer(kConfigType, config_digest, config.size());
  const Json manifest{{"schemaVersion", 2},
                      {"mediaType", kManifestType},
                      {"config", std::move(config_entry)},
                      {"layers", Json::array({layer(kModelType, sha256, size)})}};
  const fs::path path = manifest_path(name);
  std::error_code error;
  fs::create_directories(root_ / "blobs", error);
  fs::create_directories(path.parent_path(), error);
  if (error) {
    return make_error(ErrorCode::kIo, "cannot create {}: {}", path.parent_path().string(),
                      error.message());
  }
  LLMRUN_TRY(write_file_atomic(blob_path(config_digest), config));
  return write_file_atomic(path, manifest.dump());
}

}  // namespace llmrun::store
