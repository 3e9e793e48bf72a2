// POSIX file calls with their errors told in words.
#include "base/file_io.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <ctime>
#include <optional>
#include <system_error>
#include <utility>

#include "base/units.h"

namespace llmrun {
namespace {

std::string folder_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

// Unique in this process and, by the process id, on this machine; O_EXCL decides in any case.
std::string temporary_name(const std::string& path) {
  static std::atomic<uint64_t> counter{0};
  return fmt::format("{}.{}.{}.tmp", path, ::getpid(), counter.fetch_add(1));
}

// The process id in "NAME.PID.N.tmp"; nothing when the name is not of this form.
std::optional<pid_t> process_of(std::string_view name) {
  const auto drop_number = [&](uint64_t& number) {
    const size_t dot = name.rfind('.');
    if (dot == std::string_view::npos || dot + 1 == name.size()) return false;
    const char* const end = name.data() + name.size();
    const auto parsed = std::from_chars(name.data() + dot + 1, end, number);
    name = name.substr(0, dot);
    return parsed.ec == std::errc() && parsed.ptr == end;
  };
  constexpr std::string_view kSuffix = ".tmp";
  if (!name.ends_with(kSuffix)) return std::nullopt;
  name.remove_suffix(kSuffix.size());
  uint64_t counter = 0;
  uint64_t process = 0;
  if (!drop_number(counter) || !drop_number(process) || name.empty()) return std::nullopt;
  if (process == 0 || !std::in_range<pid_t>(process)) return std::nullopt;
  return static_cast<pid_t>(process);
}

bool is_running(pid_t process) { return ::kill(process, 0) == 0 || errno != ESRCH; }

int open_retrying(const std::string& path, int flags, unsigned permissions = 0) {
  int descriptor = -1;
  do {
    descriptor = ::open(path.c_str(), flags | O_CLOEXEC, permissions);
  } while (descriptor < 0 && errno == EINTR);
  return descriptor;
}

}  // namespace

FileDescriptor& FileDescriptor::operator=(FileDescriptor&& other) noexcept {
  if (this != &other) {
    close();
    descriptor_ = std::exchange(other.descriptor_, -1);
  }
  return *this;
}

void FileDescriptor::close() {
  if (descriptor_ >= 0) ::close(descriptor_);
  descriptor_ = -1;
}

tl::unexpected<Error> system_error(std::string_view what, const std::string& path) {
  const int reason = errno;
  const bool missing = reason == ENOENT || reason == ENOTDIR;
  return make_error(missing ? ErrorCode::kNotFound : ErrorCode::kIo, "{} '{}': {}", what, path,
                    std::generic_category().message(reason));
}

Result<FileDescriptor> open_regular_file(const std::string& path) {
  // O_NONBLOCK: opening a named pipe must not wait for a writer.
  FileDescriptor file(open_retrying(path, O_RDONLY | O_NONBLOCK));
  if (!file.is_open()) return system_error("cannot open", path);
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) return system_error("cannot read", path);
  if (S_ISDIR(status.st_mode)) {
    return make_error(ErrorCode::kIo, "'{}' is a folder; name a file in it", path);
  }
  if (!S_ISREG(status.st_mode)) {
    return make_error(ErrorCode::kIo, "'{}' is a pipe or a device, not a file", path);
  }
  return file;
}

Result<std::string> read_file(const std::string& path, uint64_t max_bytes) {
  LLMRUN_ASSIGN(const FileDescriptor file, open_regular_file(path));
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) return system_error("cannot read", path);
  const auto too_large = [&] {
    return make_error(ErrorCode::kIo, "'{}' is larger than the {} allowed here", path,
                      format_bytes(max_bytes));
  };
  if (static_cast<uint64_t>(status.st_size) > max_bytes) return too_large();
  std::string text;
  text.reserve(static_cast<size_t>(status.st_size) + 1);
  // Files of /proc say size 0 and files may grow, so the end is where read() says it is.
  char chunk[65536];
  while (true) {
    const ssize_t n_read = ::read(file.get(), chunk, sizeof(chunk));
    if (n_read < 0 && errno == EINTR) continue;
    if (n_read < 0) return system_error("cannot read", path);
    if (n_read == 0) return text;
    if (text.size() + static_cast<size_t>(n_read) > max_bytes) return too_large();
    text.append(chunk, static_cast<size_t>(n_read));
  }
}

Result<void> write_all(const FileDescriptor& file, std::span<const std::byte> bytes,
                       const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t n_written = ::write(file.get(), bytes.data(), bytes.size());
    if (n_written < 0 && errno == EINTR) continue;
    if (n_written < 0) return system_error("cannot write", path);
    bytes = bytes.subspan(static_cast<size_t>(n_written));
  }
  return {};
}

Result<AtomicFile> AtomicFile::create(const std::string& path, unsigned permissions) {
  std::string temporary = temporary_name(path);
  FileDescriptor file(open_retrying(temporary, O_WRONLY | O_CREAT | O_EXCL, permissions));
  if (!file.is_open() && errno == EEXIST) {  // left by a killed process that had our id
    ::unlink(temporary.c_str());
    file = FileDescriptor(open_retrying(temporary, O_WRONLY | O_CREAT | O_EXCL, permissions));
  }
  if (!file.is_open()) return system_error("cannot create", path);
  return AtomicFile(path, std::move(temporary), std::move(file));
}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : path_(std::move(other.path_)),
      temporary_(std::exchange(other.temporary_, std::string())),
      file_(std::move(other.file_)),
      pieces_(std::move(other.pieces_)) {}

AtomicFile::~AtomicFile() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

Result<void> AtomicFile::write(std::span<const std::byte> bytes) {
  return pieces_.add(bytes, [this](uint64_t, std::span<const std::byte> piece) {
    return write_all(file_, piece, path_);
  });
}

Result<void> AtomicFile::flush() {
  return pieces_.flush([this](uint64_t, std::span<const std::byte> piece) {
    return write_all(file_, piece, path_);
  });
}

Result<void> AtomicFile::commit() {
  if (temporary_.empty()) return make_error(ErrorCode::kInternal, "'{}' committed twice", path_);
  LLMRUN_TRY(flush());
  if (::fsync(file_.get()) != 0) return system_error("cannot write", path_);
  LLMRUN_TRY(commit_unsynced());
  return sync_folder_of(path_);
}

Result<void> AtomicFile::commit_unsynced() {
  if (temporary_.empty()) return make_error(ErrorCode::kInternal, "'{}' committed twice", path_);
  LLMRUN_TRY(flush());
  file_.close();
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) {
    return system_error("cannot create", path_);
  }
  temporary_.clear();
  return {};
}

Result<void> write_file_atomic(const std::string& path, std::string_view text,
                               unsigned permissions) {
  LLMRUN_ASSIGN(AtomicFile file, AtomicFile::create(path, permissions));
  LLMRUN_TRY(file.write(text));
  return file.commit();
}

Result<void> append_file(const std::string& path, std::string_view text, bool sync,
                         unsigned permissions) {
  const FileDescriptor file(open_retrying(path, O_WRONLY | O_CREAT | O_APPEND, permissions));
  if (!file.is_open()) return system_error("cannot open", path);
  LLMRUN_TRY(write_all(file, std::as_bytes(std::span(text)), path));
  if (sync && ::fsync(file.get()) != 0) return system_error("cannot write", path);
  return {};
}

int remove_stale_temporaries(const std::string& folder, int64_t min_age_seconds) {
  DIR* const directory = ::opendir(folder.c_str());
  if (directory == nullptr) return 0;
  const int folder_descriptor = ::dirfd(directory);
  int n_removed = 0;
  while (const dirent* const entry = ::readdir(directory)) {
    const auto process = process_of(entry->d_name);
    if (!process || is_running(*process)) continue;
    // The age protects a writer in another container or on another host, whose id says nothing.
    struct stat status {};
    if (::fstatat(folder_descriptor, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) continue;
    if (!S_ISREG(status.st_mode) || ::time(nullptr) - status.st_mtime < min_age_seconds) continue;
    if (::unlinkat(folder_descriptor, entry->d_name, 0) == 0) ++n_removed;
  }
  ::closedir(directory);
  return n_removed;
}

Result<void> sync_folder_of(const std::string& path) {
  const std::string folder = folder_of(path);
  const FileDescriptor file(open_retrying(folder, O_RDONLY | O_DIRECTORY));
  if (!file.is_open()) return system_error("cannot open folder", folder);
  // Some file systems cannot sync a folder (EINVAL); there the rename is as durable as it gets.
  if (::fsync(file.get()) != 0 && errno != EINVAL) return system_error("cannot sync", folder);
  return {};
}

}  // namespace llmrun
