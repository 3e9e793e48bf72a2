// The models on this machine: blobs named by their SHA-256 and manifests that give them names, in
// the layout of Ollama's store (so tools that know one know the other):
//   blobs/sha256-<64 hex>
//   manifests/<host>/<namespace>/<model>/<tag>    a JSON manifest, written last and atomically
// A model is visible when its manifest is there, and a manifest is written only after its blob was
// verified; so whatever a killed process leaves behind is never taken for a model.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "llmrun/error.h"
#include "store/manifest.h"
#include "store/model_name.h"

namespace llmrun::store {

// The place of a file that was named by its path.
inline constexpr std::string_view kPlaceOfFiles = "file";

struct StoredModel {
  std::string name;                // "smollm2:135m"
  std::string id;                  // first 12 hex digits of the manifest's SHA-256
  std::filesystem::path file;      // the GGUF file
  uint64_t size = 0;               // bytes of that file
  uint64_t total_size = 0;         // bytes of all that belongs to it
  int64_t modified = 0;            // seconds since 1970
  std::filesystem::path manifest;  // empty: it has none (a file of the Hugging Face cache)
  std::string place;               // whose store it lies in: "llmrun", "Ollama", "Hugging Face"
};

class LocalStore {
 public:
  struct Named {
    ModelName name;
    std::filesystem::path manifest;
  };

  explicit LocalStore(std::filesystem::path root, std::string place = "llmrun")
      : root_(std::move(root)), place_(std::move(place)) {}

  // Everything that has a name, whether or not its manifest can be read and its blobs are there.
  [[nodiscard]] std::vector<Named> names() const;
  // All models whose manifest and blob are there, by name.
  [[nodiscard]] std::vector<StoredModel> list() const;
  // A short name means the registry's model, else the catalogue's; without a tag "latest", else the
  // only tag there is. Letters may differ in case.
  [[nodiscard]] std::optional<StoredModel> find(const ModelName& name) const;
  // Where the manifest of that very name lies, or will lie.
  [[nodiscard]] std::filesystem::path manifest_path(const ModelName& name) const;

  // Where the blob of that digest lies, or will lie.
  [[nodiscard]] std::filesystem::path blob_path(std::string_view sha256) const;
  // Where its block checks (block_checks.h) are kept.
  [[nodiscard]] std::filesystem::path checks_path(std::string_view sha256) const;
  // What a model of this store is made of.
  [[nodiscard]] static Result<Manifest> read_manifest_file(const std::filesystem::path& path);
  [[nodiscard]] Result<Manifest> manifest_of(const StoredModel& model) const {
    return read_manifest_file(model.manifest);
  }
  // The digests that the store's models need. kBadModel names a manifest that cannot be read, for
  // then nobody knows.
  [[nodiscard]] Result<std::set<std::string>> needed_blobs() const;
  // Gives a verified blob a name. Atomic: the name appears whole or not at all.
  Result<void> publish(const ModelName& name, std::string_view sha256, uint64_t size,
                       const std::string& config = R"({"model_format":"gguf"})") const;

  [[nodiscard]] const std::filesystem::path& root() const { return root_; }

 private:
  [[nodiscard]] std::optional<StoredModel> read_manifest(const Named& named) const;

  std::filesystem::path root_;
  std::string place_;
};

}  // namespace llmrun::store
