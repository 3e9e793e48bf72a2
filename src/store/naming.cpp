// Names for what is here; see naming.h.
#include "store/naming.h"

#include <algorithm>
#include <system_error>

#include "base/error.h"
#include "base/file_io.h"
#include "base/progress.h"
#include "base/sha256.h"
#include "gguf/split.h"
#include "store/folder.h"
#include "store/store_lock.h"

namespace llmrun::store {
namespace {

namespace fs = std::filesystem;

Result<void> check_name_is_free(const LocalStore& store, const ModelName& name,
                                const std::string& manifest) {
  const fs::path path = store.manifest_path(name);
  std::error_code error;
  if (!fs::exists(path, error)) return {};
  const auto old = read_file(path.string(), kMaxManifestBytes);
  if (old && *old == manifest) return {};
  return make_error(ErrorCode::kUsage,
                    "{} is another model already; take another name, or delete it first: llmrun rm "
                    "{}",
                    name.text(), name.text());
}

// blobs/ of the store that a manifest at <root>/manifests/host/namespace/model/tag belongs to.
fs::path root_of(const fs::path& manifest) {
  return manifest.parent_path().parent_path().parent_path().parent_path().parent_path();
}

Result<std::string> hash_with_progress(const std::string& file, uint64_t size) {
  Progress progress("reading " + fs::path(file).filename().string(), size);
  auto digest = sha256_file(file, [&](uint64_t done) { progress.update(done); });
  if (digest) progress.finish();
  return digest;
}

}  // namespace

Result<void> copy_model(const LocalStore& store, const StoredModel& from, const ModelName& to) {
  if (from.manifest.empty()) {
    return make_error(ErrorCode::kUsage, "{} is a file; give it a name with: llmrun import {} {}",
                      from.name, from.file.string(), to.text());
  }
  LLMRUN_ASSIGN(const std::string text, read_file(from.manifest.string(), kMaxManifestBytes));
  LLMRUN_ASSIGN(const Manifest manifest, parse_manifest(text));
  LLMRUN_ASSIGN(const FileDescriptor lock, lock_for_adding(store.root()));
  LLMRUN_TRY(check_name_is_free(store, to, text));
  const LocalStore source(root_of(from.manifest));
  for (const Layer& layer : manifest.all_blobs()) {
    const fs::path blob = store.blob_path(layer.sha256);
    std::error_code error;
    if (fs::exists(blob, error)) continue;
    LLMRUN_TRY(make_folder(blob.parent_path()));
    LLMRUN_TRY(link_file(source.blob_path(layer.sha256), blob));
  }
  const fs::path path = store.manifest_path(to);
  LLMRUN_TRY(make_folder(path.parent_path()));
  return write_file_atomic(path.string(), text);
}

Result<ImportedModel> import_file(const LocalStore& store, const std::string& file,
                                  const ModelName& name) {
  LLMRUN_TRY(check_is_gguf(file));
  if (gguf::parse_split_name(file)) {
    return make_error(ErrorCode::kUnsupported,
                      "{} is one part of a split model; use it by the path of its first part",
                      file);
  }
  std::error_code error;
  ImportedModel imported;
  imported.size = fs::file_size(file, error);
  LLMRUN_ASSIGN(imported.sha256, hash_with_progress(file, imported.size));
  LLMRUN_ASSIGN(const FileDescriptor lock, lock_for_adding(store.root()));
  if (const auto old = store.find(name); old && old->file != store.blob_path(imported.sha256)) {
    return make_error(ErrorCode::kUsage,
                      "{} is another model already; take another name, or delete it first: llmrun "
                      "rm {}",
                      name.text(), name.text());
  }
  const fs::path blob = store.blob_path(imported.sha256);
  imported.was_there = fs::exists(blob, error);
  if (!imported.was_there) {
    fs::remove(blob, error);  // a link whose file is gone
    LLMRUN_TRY(make_folder(blob.parent_path()));
    LLMRUN_ASSIGN(imported.link, link_file(file, blob));
  }
  LLMRUN_TRY(store.publish(name, imported.sha256, imported.size));
  return imported;
}

}  // namespace llmrun::store
