// Deleting from the store; see removal.h.
#include "store/removal.h"

#include <algorithm>
#include <chrono>
#include <set>
#include <system_error>

#include "base/error.h"
#include "base/file_io.h"
#include "store/partial_file.h"
#include "store/paths.h"
#include "store/store_lock.h"

namespace llmrun::store {
namespace {

namespace fs = std::filesystem;

constexpr auto kYoung = std::chrono::hours(1);

// The path of the manifest of that name, whether or not it can be read; empty: there is none.
fs::path manifest_of(const LocalStore& store, const ModelName& name) {
  if (const auto model = store.find(name)) return model->manifest;
  std::error_code error;
  const fs::path path = store.manifest_path(name);
  return fs::is_regular_file(fs::symlink_status(path, error)) ? path : fs::path();
}

// Removes a file, or a link and not what it points to. Bytes given back to the disk.
uint64_t remove_file(const fs::path& path) {
  std::error_code error;
  const bool is_only_name =
      fs::is_regular_file(fs::symlink_status(path, error)) && fs::hard_link_count(path, error) == 1;
  const uint64_t bytes = is_only_name ? bytes_allocated(path.string()) : 0;
  return fs::remove(path, error) ? bytes : 0;
}

void remove_empty_parents(fs::path folder, const fs::path& stop) {
  std::error_code error;
  while (folder != stop && folder.has_relative_path() && fs::remove(folder, error)) {
    folder = folder.parent_path();
  }
}

bool is_young(const fs::path& path) {
  std::error_code error;
  const auto time = fs::last_write_time(path, error);
  return !error && fs::file_time_type::clock::now() - time < kYoung;
}

uint64_t bytes_below(const fs::path& path) {
  std::error_code error;
  if (!fs::is_directory(fs::symlink_status(path, error))) return bytes_allocated(path.string());
  uint64_t total = 0;
  for (fs::recursive_directory_iterator it(path, error), end; !error && it != end;
       it.increment(error)) {
    total += bytes_allocated(it->path().string());
  }
  return total;
}

// The digest in "sha256-<hex>"; empty: another kind of name.
std::string digest_in(const std::string& file_name) {
  constexpr std::string_view kPrefix = "sha256-";
  const bool fits = file_name.starts_with(kPrefix) &&
                    is_sha256_hex(std::string_view(file_name).substr(kPrefix.size()));
  return fits ? file_name.substr(kPrefix.size()) : std::string();
}

class RubbishSearch {
 public:
  RubbishSearch(const LocalStore& store, std::set<std::string> needed)
      : store_(store), needed_(std::move(needed)) {}

  std::vector<Rubbish> run() {
    each_in("blobs", [this](const fs::path& path) { look_at_blob(path); });
    each_in("checks", [this](const fs::path& path) {
      std::error_code error;
      const std::string digest = digest_in(path.filename().string());
      const bool has_blob = !digest.empty() && fs::exists(store_.blob_path(digest), error);
      if (!has_blob || needed_.count(digest) == 0) add(path, "checks of a blob");
    });
    each_in("tmp", [this](const fs::path& path) {
      if (!is_young(path)) add(path, "left by a download");
    });
    return std::move(found_);
  }

 private:
  template <typename Look>
  void each_in(const char* folder, Look look) {
    std::error_code error;
    for (fs::directory_iterator it(store_.root() / folder, error), end; !error && it != end;
         it.increment(error)) {
      look(it->path());
    }
  }

  void look_at_blob(const fs::path& path) {
    const std::string name = path.filename().string();
    if (const std::string digest = digest_in(name); !digest.empty()) {
      if (needed_.count(digest) == 0) add(path, "blob of no model");
    } else if (is_young(path)) {
      return;
    } else if (name.find("-partial") != std::string::npos) {
      add(path, "unfinished download");
    } else if (name.ends_with(".tmp")) {
      add(path, "left by a process that was killed");
    }
  }

  void add(const fs::path& path, std::string what) {
    found_.push_back({path, std::move(what), bytes_below(path)});
  }

  const LocalStore& store_;
  std::set<std::string> needed_;
  std::vector<Rubbish> found_;
};

}  // namespace

Result<void> check_is_own(const LocalStore& store) {
  std::error_code error;
  for (const char* folder : {"blobs", "manifests", "checks", "tmp"}) {
    const fs::path path = store.root() / folder;
    if (!fs::is_symlink(fs::symlink_status(path, error))) continue;
    return make_error(
        ErrorCode::kUsage,
        "{} is a link; llmrun deletes nothing through links: delete where it points to",
        path.string());
  }
  const fs::path root = fs::weakly_canonical(store.root(), error);
  for (const fs::path& other : ollama_dirs()) {
    const fs::path theirs = fs::weakly_canonical(other, error);
    if (root != theirs) continue;
    return make_error(ErrorCode::kUsage,
                      "{} is Ollama's store; llmrun deletes nothing there: use ollama rm",
                      root.string());
  }
  return {};
}

Result<RemovedModel> remove_model(const LocalStore& store, const ModelName& name) {
  LLMRUN_TRY(check_is_own(store));
  LLMRUN_ASSIGN(const FileDescriptor lock, lock_for_deleting(store.root()));
  const fs::path path = manifest_of(store, name);
  if (path.empty()) {
    return make_error(ErrorCode::kNotFound, "the store {} has no model {}", store.root().string(),
                      name.text());
  }
  const auto text = read_file(path.string(), kMaxManifestBytes);
  const auto manifest = text ? parse_manifest(*text) : tl::unexpected<Error>(text.error());
  std::error_code error;
  if (!fs::remove(path, error)) {
    return make_error(ErrorCode::kIo, "cannot remove {}: {}", path.string(), error.message());
  }
  remove_empty_parents(path.parent_path(), store.root() / "manifests");
  RemovedModel removed{name.text(), 0, 0};
  if (!manifest) return removed;  // its blobs, if any, are for `prune`
  const auto needed = store.needed_blobs();
  for (const Layer& layer : manifest->all_blobs()) {
    if (!needed || needed->count(layer.sha256) > 0) {
      removed.shared += layer.size;
      continue;
    }
    removed.freed += remove_file(store.blob_path(layer.sha256));
    remove_file(store.checks_path(layer.sha256));
  }
  return removed;
}

Result<std::vector<Rubbish>> find_rubbish(const LocalStore& store) {
  LLMRUN_ASSIGN(std::set<std::string> needed, store.needed_blobs());
  return RubbishSearch(store, std::move(needed)).run();
}

Result<uint64_t> remove_rubbish(const LocalStore& store, std::span<const Rubbish> rubbish) {
  LLMRUN_TRY(check_is_own(store));
  LLMRUN_ASSIGN(const FileDescriptor lock, lock_for_deleting(store.root()));
  LLMRUN_ASSIGN(const std::vector<Rubbish> now, find_rubbish(store));
  uint64_t freed = 0;
  for (const Rubbish& one : rubbish) {
    const bool still = std::any_of(now.begin(), now.end(),
                                   [&](const Rubbish& other) { return other.path == one.path; });
    if (!still) continue;
    std::error_code error;
    if (fs::is_directory(fs::symlink_status(one.path, error))) {
      if (fs::remove_all(one.path, error) != static_cast<std::uintmax_t>(-1)) freed += one.bytes;
    } else {
      freed += remove_file(one.path);
    }
  }
  return freed;
}

}  // namespace llmrun::store
