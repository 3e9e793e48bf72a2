// The cache that Hugging Face's tools share; see hf_cache.h. Everything that is read here may have
// been written by anyone: names are checked before they become paths, and nothing is ever deleted.
#include "store/hf_cache.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <system_error>

#include "base/error.h"
#include "base/file_io.h"
#include "store/folder.h"
#include "store/model_name.h"

namespace llmrun::store {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kFolderPrefix = "models--";
constexpr uint64_t kMaxRefBytes = 256;
constexpr size_t kMaxFiles = 10'000;  // of one snapshot
constexpr int kMaxDepth = 8;
constexpr size_t kMaxSnapshots = 100;

bool is_hex(std::string_view text, size_t length) {
  return text.size() == length && text.find_first_not_of("0123456789abcdef") == text.npos;
}

int64_t modified_at(const fs::path& path) {
  std::error_code error;
  const auto time = fs::last_write_time(path, error);
  if (error) return 0;
  const auto system = std::chrono::file_clock::to_sys(time);
  return std::chrono::duration_cast<std::chrono::seconds>(system.time_since_epoch()).count();
}

// "models--user--repo" → the name; nothing when it is none.
std::optional<HfName> name_of_folder(std::string_view folder) {
  if (!folder.starts_with(kFolderPrefix)) return std::nullopt;
  folder.remove_prefix(kFolderPrefix.size());
  const size_t middle = folder.find("--");
  if (middle == std::string_view::npos) return std::nullopt;
  auto name =
      parse_hf_name(fmt::format("hf:{}/{}", folder.substr(0, middle), folder.substr(middle + 2)));
  return name ? std::optional(std::move(*name)) : std::nullopt;
}

// The commit that main stands for, then the others, the newest first.
std::vector<std::string> commits_of(const fs::path& repository) {
  std::vector<std::pair<int64_t, std::string>> found;
  std::error_code error;
  for (fs::directory_iterator it(repository / "snapshots", error), end; !error && it != end;
       it.increment(error)) {
    std::string commit = it->path().filename().string();
    if (is_commit(commit)) found.emplace_back(modified_at(it->path()), std::move(commit));
    if (found.size() >= kMaxSnapshots) break;
  }
  std::sort(found.rbegin(), found.rend());
  std::vector<std::string> commits;
  commits.reserve(found.size());
  for (auto& [time, commit] : found) commits.push_back(std::move(commit));
  const auto text = read_file(repository / "refs" / "main", kMaxRefBytes);
  if (!text) return commits;
  const std::string main = text->substr(0, text->find_last_not_of(" \r\n") + 1);
  const auto at = std::find(commits.begin(), commits.end(), main);
  if (at != commits.end()) std::rotate(commits.begin(), at, at + 1);
  return commits;
}

// "../../blobs/<sha256>", with one more ".." for each folder of the path.
fs::path link_target(std::string_view path, const std::string& sha256) {
  fs::path target;
  const auto depth = std::count(path.begin(), path.end(), '/') + 2;
  for (int64_t i = 0; i < depth; ++i) target /= "..";
  return target / "blobs" / sha256;
}

std::vector<HfFile> gguf_files_below(const fs::path& folder) {
  std::vector<HfFile> files;
  std::error_code error;
  for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error)) {
    if (it.depth() > kMaxDepth) it.disable_recursion_pending();
    if (files.size() >= kMaxFiles) break;
    std::string path = it->path().lexically_relative(folder).generic_string();
    if (!lower(path).ends_with(".gguf") || !is_safe_path(path)) continue;
    std::error_code broken;  // a link whose blob is gone
    if (!it->is_regular_file(broken)) continue;
    const uint64_t size = fs::file_size(it->path(), broken);
    if (!broken) files.push_back({std::move(path), size, ""});
  }
  std::sort(files.begin(), files.end(),
            [](const HfFile& a, const HfFile& b) { return a.path < b.path; });
  return files;
}

StoredModel describe(const HfName& name, const fs::path& snapshot, const HfChoice& choice) {
  StoredModel model;
  model.name = name.text();
  model.file = snapshot / choice.files.front().path;
  model.size = choice.bytes();
  model.total_size = model.size;
  model.modified = modified_at(model.file);
  model.place = "Hugging Face";
  std::error_code error;
  const std::string blob = fs::read_symlink(model.file, error).filename().string();
  if (!error && (is_hex(blob, 64) || is_hex(blob, 40))) model.id = blob.substr(0, 12);
  return model;
}

}  // namespace

bool is_commit(std::string_view text) { return is_hex(text, 40); }

fs::path HfCache::folder(const HfName& name) const {
  return root_ / fmt::format("{}{}--{}", kFolderPrefix, name.user, name.repo);
}

std::vector<HfCache::Snapshot> HfCache::snapshots(const HfName& name) const {
  std::vector<Snapshot> snapshots;
  for (const std::string& commit : commits_of(folder(name))) {
    const fs::path root = folder(name) / "snapshots" / commit;
    snapshots.push_back({root, gguf_files_below(root)});
  }
  return snapshots;
}

std::vector<StoredModel> HfCache::list() const {
  std::vector<StoredModel> models;
  std::error_code error;
  for (fs::directory_iterator it(root_, error), end; !error && it != end; it.increment(error)) {
    const auto repository = name_of_folder(it->path().filename().string());
    if (!repository) continue;
    std::set<std::string> seen;
    for (const Snapshot& one : snapshots(*repository)) {
      const std::vector<HfChoice> choices = hf_choices(one.files);
      for (const HfChoice& choice : choices) {
        const HfName name = name_of_choice(choices, *repository, choice);
        if (seen.insert(name.text()).second) models.push_back(describe(name, one.folder, choice));
      }
    }
  }
  std::sort(models.begin(), models.end(),
            [](const StoredModel& a, const StoredModel& b) { return a.name < b.name; });
  return models;
}

std::optional<StoredModel> HfCache::find(const HfName& name) const {
  for (const Snapshot& one : snapshots(name)) {
    const std::vector<HfChoice> choices = hf_choices(one.files);
    const auto choice = choose(choices, name);
    if (choice) return describe(name_of_choice(choices, name, *choice), one.folder, *choice);
  }
  return std::nullopt;
}

Result<fs::path> HfCache::prepare_blob(const HfName& name, const std::string& sha256) const {
  const fs::path blobs = folder(name) / "blobs";
  LLMRUN_TRY(make_folder(blobs));
  return blobs / sha256;
}

Result<void> HfCache::link(const HfName& name, const std::string& commit,
                           const HfFile& file) const {
  if (!is_commit(commit) || !is_safe_path(file.path)) {
    return make_error(ErrorCode::kNetwork, "the hub names a file that cannot be stored: {}",
                      commit);
  }
  const fs::path path = folder(name) / "snapshots" / commit / file.path;
  LLMRUN_TRY(make_folder(path.parent_path()));
  const fs::path target = link_target(file.path, file.sha256);
  std::error_code error;
  if (fs::read_symlink(path, error) == target) return {};
  // A rename takes the old name's place at once; a link cannot be made over one.
  const fs::path temporary = fmt::format("{}.{}.llmrun", path.string(), getpid());
  fs::remove(temporary, error);
  fs::create_symlink(target, temporary, error);
  if (!error) fs::rename(temporary, path, error);
  if (!error) return {};
  return make_error(ErrorCode::kIo, "cannot link {}: {}", path.string(), error.message());
}

Result<void> HfCache::publish(const HfName& name, const std::string& commit) const {
  const fs::path refs = folder(name) / "refs";
  LLMRUN_TRY(make_folder(refs));
  return write_file_atomic(refs / "main", commit);
}

}  // namespace llmrun::store
