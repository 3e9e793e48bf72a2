// Partial downloads on the disk; see partial_file.h.
#include "store/partial_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>
#include <system_error>
#include <thread>

#include "base/checked_math.h"
#include "base/error.h"

namespace llmrun::store {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

// Enough parts that several connections always have one, few enough to be looked at.
constexpr uint64_t kMostParts = 64;
constexpr uint64_t kSmallestPart = 16'000'000;
constexpr uint64_t kLargestPart = 1'000'000'000;
constexpr uint64_t kMaxPartFileBytes = 4096;
constexpr size_t kMaxPartFiles = 100'000;
constexpr int kLargestNumber = 1'000'000'000;
constexpr auto kLockPoll = std::chrono::milliseconds(100);

std::optional<FilePart> parse_part(const std::string& text, int number, uint64_t file_size) {
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) return std::nullopt;
  const auto get = [&](const char* key) -> std::optional<uint64_t> {
    const auto it = json.find(key);
    if (it == json.end() || !it->is_number_integer() || (!it->is_number_unsigned() && *it < 0)) {
      return std::nullopt;
    }
    return it->get<uint64_t>();
  };
  const auto offset = get("Offset");
  const auto size = get("Size");
  const auto completed = get("Completed");
  if (!offset || !size || !completed || *size == 0 || *completed > *size) return std::nullopt;
  const auto end = checked_add(*offset, *size);
  if (!end || *end > file_size) return std::nullopt;
  return FilePart{number, *offset, *size, *completed};
}

// The same open file still has that name: nobody renamed or removed it while we waited.
bool is_still_named(const FileDescriptor& file, const std::string& path) {
  struct stat opened {};
  struct stat named {};
  return fstat(file.get(), &opened) == 0 && stat(path.c_str(), &named) == 0 &&
         opened.st_ino == named.st_ino && opened.st_dev == named.st_dev;
}

Result<void> lock(const FileDescriptor& file, const std::string& path,
                  const std::function<bool()>& cancelled, const std::function<void()>& waiting) {
  bool told = false;
  while (flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    if (errno != EWOULDBLOCK) return system_error("cannot lock", path);
    if (!told && waiting) waiting();
    told = true;
    if (cancelled && cancelled()) return make_error(ErrorCode::kInterrupted, "interrupted");
    std::this_thread::sleep_for(kLockPoll);
  }
  return {};
}

}  // namespace

std::vector<FilePart> plan_parts(uint64_t size) {
  const uint64_t part_size = std::clamp(size / kMostParts + 1, kSmallestPart, kLargestPart);
  std::vector<FilePart> parts;
  for (uint64_t offset = 0; offset < size; offset += part_size) {
    parts.push_back(
        {static_cast<int>(parts.size()), offset, std::min(part_size, size - offset), 0});
  }
  return parts;
}

uint64_t bytes_allocated(const std::string& path) {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) return 0;
  return static_cast<uint64_t>(status.st_blocks) * 512;  // POSIX leaves it open; Linux counts 512
}

Result<PartialFile> PartialFile::open(const fs::path& target, uint64_t size,
                                      const std::function<bool()>& cancelled,
                                      const std::function<void()>& waiting) {
  PartialFile partial(target);
  const std::string path = partial.path();
  while (true) {
    // O_NOFOLLOW: nothing is written through a link that someone put here.
    FileDescriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644));
    if (!file.is_open()) return system_error("cannot create", path);
    LLMRUN_TRY(lock(file, path, cancelled, waiting));
    if (!is_still_named(file, path)) {
      if (fs::exists(target)) return partial;
      continue;
    }
    if (fs::exists(target)) {  // finished between our look and our open
      std::error_code ignored;
      fs::remove(path, ignored);
      partial.remove_parts();
      return partial;
    }
    partial.file_ = std::move(file);
    LLMRUN_TRY(partial.prepare(size));
    return partial;
  }
}

Result<void> PartialFile::prepare(uint64_t size) {
  struct stat status {};
  if (fstat(file_.get(), &status) != 0) return system_error("cannot read", path());
  read_parts(size, static_cast<uint64_t>(status.st_size));
  if (ftruncate(file_.get(), static_cast<off_t>(size)) != 0) {
    return system_error("cannot make room for", path());
  }
  return {};
}

std::string PartialFile::path() const { return target_.string() + "-partial"; }

fs::path PartialFile::part_path(int number) const { return path() + "-" + std::to_string(number); }

uint64_t PartialFile::completed() const {
  return std::accumulate(parts_.begin(), parts_.end(), uint64_t{0},
                         [](uint64_t sum, const FilePart& part) { return sum + part.completed; });
}

std::vector<int> PartialFile::part_numbers() const {
  const std::string prefix = fs::path(path()).filename().string() + "-";
  std::vector<int> numbers;
  std::error_code error;
  for (fs::directory_iterator it(target_.parent_path(), error), end; !error && it != end;
       it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (!name.starts_with(prefix) || numbers.size() >= kMaxPartFiles) continue;
    int number = 0;
    const char* const last = name.data() + name.size();
    const auto parsed = std::from_chars(name.data() + prefix.size(), last, number);
    if (parsed.ec == std::errc() && parsed.ptr == last && number >= 0) numbers.push_back(number);
  }
  return numbers;
}

void PartialFile::remove_parts() const {
  std::error_code ignored;
  for (const int number : part_numbers()) fs::remove(part_path(number), ignored);
}

// Keeps the parts that fit together; the gaps between them become parts with nothing in them.
void PartialFile::read_parts(uint64_t size, uint64_t bytes_there) {
  std::vector<FilePart> found;
  std::error_code ignored;
  int next_number = 0;
  for (const int number : part_numbers()) {
    next_number = std::max(next_number, std::min(number, kLargestNumber) + 1);
    const auto text = read_file(part_path(number).string(), kMaxPartFileBytes);
    auto part = text ? parse_part(*text, number, size) : std::nullopt;
    if (!part) {
      fs::remove(part_path(number), ignored);
      continue;
    }
    const uint64_t there = bytes_there > part->offset ? bytes_there - part->offset : 0;
    part->completed = std::min(part->completed, there);
    found.push_back(*part);
  }
  if (found.empty()) {
    parts_ = plan_parts(size);
    for (const FilePart& part : parts_) (void)write_part(part);
    return;
  }
  std::sort(found.begin(), found.end(),
            [](const FilePart& a, const FilePart& b) { return a.offset < b.offset; });
  uint64_t position = 0;
  const auto fill_up_to = [&](uint64_t end) {
    if (end <= position) return;
    parts_.push_back({next_number++, position, end - position, 0});
    (void)write_part(parts_.back());
  };
  for (const FilePart& part : found) {
    if (part.offset < position) {  // overlaps the one before
      fs::remove(part_path(part.number), ignored);
      continue;
    }
    fill_up_to(part.offset);
    parts_.push_back(part);
    position = part.offset + part.size;
  }
  fill_up_to(size);
}

// Appears whole: written beside under a name that Ollama does not take for a part, then renamed.
Result<void> PartialFile::write_part(const FilePart& part) const {
  const std::string path = part_path(part.number).string();
  const std::string temporary =
      (target_.parent_path() / fmt::format(".{}-part.tmp", target_.filename().string())).string();
  const Json json{{"N", part.number},
                  {"Offset", part.offset},
                  {"Size", part.size},
                  {"Completed", part.completed}};
  FileDescriptor file(
      ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644));
  if (!file.is_open()) return system_error("cannot create", temporary);
  const std::string text = json.dump();
  LLMRUN_TRY(write_all(file, std::as_bytes(std::span(text)), temporary));
  if (rename(temporary.c_str(), path.c_str()) != 0) return system_error("cannot create", path);
  return {};
}

Result<void> PartialFile::save(std::span<const uint64_t> completed) {
  bool changed = false;
  for (size_t i = 0; i < parts_.size(); ++i)
    changed = changed || completed[i] != parts_[i].completed;
  if (!changed) return {};
  if (fdatasync(file_.get()) != 0) return system_error("cannot write", path());
  for (size_t i = 0; i < parts_.size(); ++i) {
    if (completed[i] == parts_[i].completed) continue;
    parts_[i].completed = completed[i];
    LLMRUN_TRY(write_part(parts_[i]));
  }
  return {};
}

Result<void> PartialFile::commit() {
  if (fsync(file_.get()) != 0) return system_error("cannot write", path());
  if (rename(path().c_str(), target_.c_str()) != 0) {
    return system_error("cannot create", target_.string());
  }
  LLMRUN_TRY(sync_folder_of(target_.string()));
  remove_parts();
  file_.close();
  return {};
}

void PartialFile::discard() {
  std::error_code ignored;
  remove_parts();
  fs::remove(path(), ignored);
  file_.close();
}

// The part files come first: a kill between the steps leaves the damaged file where it was.
Result<void> reopen_as_partial(const fs::path& target, uint64_t size,
                               std::span<const std::pair<uint64_t, uint64_t>> bad) {
  PartialFile partial(target);
  partial.remove_parts();
  uint64_t position = 0;
  int number = 0;
  const auto add = [&](uint64_t end, bool good) -> Result<void> {
    if (end <= position) return {};
    const uint64_t part_size = end - position;
    LLMRUN_TRY(partial.write_part({number++, position, part_size, good ? part_size : 0}));
    position = end;
    return {};
  };
  for (const auto& [offset, length] : bad) {
    LLMRUN_TRY(add(offset, true));
    LLMRUN_TRY(add(offset + length, false));
  }
  LLMRUN_TRY(add(size, true));
  std::error_code error;
  const bool is_shared =
      fs::is_symlink(fs::symlink_status(target, error)) || fs::hard_link_count(target, error) > 1;
  if (is_shared) {
    fs::copy_file(target, partial.path(), fs::copy_options::overwrite_existing, error);
    if (!error) fs::remove(target, error);  // this name alone
  } else {
    fs::rename(target, partial.path(), error);
  }
  if (!error) return {};
  return make_error(ErrorCode::kIo, "cannot set {} aside: {}", target.string(), error.message());
}

}  // namespace llmrun::store
