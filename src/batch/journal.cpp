// Opening with a lock, appending whole records, syncing once a second beside the work.
#include "batch/journal.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <vector>

#include "base/error.h"

namespace llmrun::batch {
namespace {

constexpr auto kSyncEvery = std::chrono::seconds(1);

Result<FileDescriptor> open_file(const std::string& path) {
  FileDescriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (!file.is_open()) return system_error("cannot write the journal", path);
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) return system_error("cannot read", path);
  if (!S_ISREG(status.st_mode)) {
    return make_error(ErrorCode::kUsage, "'{}' is in the way: the journal must be a plain file",
                      path);
  }
  return file;
}

// False: the file that was locked is no longer the one at `path`, since its owner has finished.
Result<bool> lock_file(const FileDescriptor& file, const std::string& path) {
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return system_error("cannot lock the journal", path);
    return make_error(ErrorCode::kUsage,
                      "another llmrun is working on this output: it holds '{}'. Wait for it, or "
                      "choose another output.",
                      path);
  }
  struct stat locked {};
  struct stat named {};
  if (::fstat(file.get(), &locked) != 0) return system_error("cannot read", path);
  return ::stat(path.c_str(), &named) == 0 && locked.st_ino == named.st_ino &&
         locked.st_dev == named.st_dev;
}

}  // namespace

Result<Journal> Journal::open(const std::string& path, bool restart) {
  constexpr int kTries = 100;
  for (int i = 0; i < kTries; ++i) {
    LLMRUN_ASSIGN(FileDescriptor file, open_file(path));
    LLMRUN_ASSIGN(const bool is_current, lock_file(file, path));
    if (!is_current) continue;
    Journal journal(path, std::move(file));
    LLMRUN_TRY(journal.scan(restart));
    return journal;
  }
  return make_error(ErrorCode::kIo, "the journal '{}' vanishes as fast as it is made", path);
}

Result<void> Journal::scan(bool forget) {
  std::vector<char> chunk(size_t{1} << 20);
  uint64_t size = 0;
  while (true) {
    const ssize_t n = ::pread(file_.get(), chunk.data(), chunk.size(), static_cast<off_t>(size));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return system_error("cannot read the journal", path_);
    if (n == 0) break;
    size += static_cast<uint64_t>(n);
    found_.feed({chunk.data(), static_cast<size_t>(n)});
  }
  // A file that is not ours is not cut.
  if (!found_.could_be_journal()) {
    return make_error(ErrorCode::kUsage,
                      "'{}' is in the way: it is no journal of a batch. Move it, or choose another "
                      "output.",
                      path_);
  }
  if (forget) found_ = JournalScan();
  size_ = found_.job().empty() ? 0 : found_.good_bytes();
  if (size_ < size && ::ftruncate(file_.get(), static_cast<off_t>(size_)) != 0) {
    return system_error("cannot write the journal", path_);
  }
  return {};
}

Result<void> Journal::append(std::string_view payload) {
  LLMRUN_ASSIGN(const std::string record, journal_record(payload));
  const std::string text =
      size_ == 0 ? std::string(kJournalMagic) + record : record;  // magic and job in one write
  if (::lseek(file_.get(), static_cast<off_t>(size_), SEEK_SET) < 0) {
    return system_error("cannot write the journal", path_);
  }
  if (auto written = write_all(file_, std::as_bytes(std::span(text)), path_); !written) {
    // A torn record is of no use to anybody; if it cannot be cut off, the next scan does.
    (void)!::ftruncate(file_.get(), static_cast<off_t>(size_));
    written.error().message +=
        "; what was finished is safe in it: make room and give the same command again";
    return written;
  }
  size_ += text.size();
  dirty_ = true;
  return {};
}

Result<void> Journal::begin(std::string_view job) {
  LLMRUN_TRY(append("job " + std::string(job)));
  LLMRUN_TRY(sync(true));
  return sync_folder_of(path_);
}

Result<void> Journal::add_done(uint64_t row, std::string_view line) {
  const std::string head = fmt::format("done {} ", row);
  LLMRUN_TRY(append(head + std::string(line)));
  last_line_ = {size_ - 1 - line.size(), line.size()};
  return sync(false);
}

Result<void> Journal::add_part(uint64_t row, size_t first, std::span<const TokenId> tokens) {
  std::string payload = fmt::format("part {} {}", row, first);
  for (const TokenId token : tokens) payload += fmt::format(" {}", token);
  return append(payload);
}

// How the sync that runs beside the work has ended.
Result<void> Journal::end_sync() {
  if (!syncing_.valid()) return {};
  errno = syncing_.get();
  if (errno != 0) return system_error("cannot write the journal", path_);
  return {};
}

Result<void> Journal::sync(bool now) {
  if (now) {
    LLMRUN_TRY(end_sync());
    if (dirty_ && ::fdatasync(file_.get()) != 0) return system_error("cannot write", path_);
    dirty_ = false;
    return {};
  }
  const auto time = std::chrono::steady_clock::now();
  if (!dirty_ || time - last_sync_ < kSyncEvery) return {};
  if (syncing_.valid() && syncing_.wait_for(std::chrono::seconds(0)) != std::future_status::ready) {
    return {};  // the disk is slow
  }
  LLMRUN_TRY(end_sync());
  dirty_ = false;
  last_sync_ = time;
  syncing_ = std::async(std::launch::async, [descriptor = file_.get()] {
    return ::fdatasync(descriptor) == 0 ? 0 : errno;
  });
  return {};
}

Result<std::string> Journal::read(const JournalSpan& span) const {
  std::string line(span.length, '\0');
  for (size_t at = 0; at < line.size();) {
    const ssize_t n = ::pread(file_.get(), line.data() + at, line.size() - at,
                              static_cast<off_t>(span.offset + at));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return system_error("cannot read the journal", path_);
    if (n == 0) {
      return make_error(ErrorCode::kIo, "the journal '{}' was cut while it was in use", path_);
    }
    at += static_cast<size_t>(n);
  }
  return line;
}

Result<void> Journal::remove() {
  if (::unlink(path_.c_str()) != 0) return system_error("cannot remove the journal", path_);
  return sync_folder_of(path_);
}

}  // namespace llmrun::batch
