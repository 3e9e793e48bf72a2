// Whole-file reading and writing with typed errors. What is written atomically is either there
// completely or not at all, also after a kill or a power cut.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/piece_buffer.h"

namespace llmrun {

// An open file; closed when the object goes.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int descriptor) : descriptor_(descriptor) {}
  FileDescriptor(FileDescriptor&& other) noexcept
      : descriptor_(std::exchange(other.descriptor_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept;
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  ~FileDescriptor() { close(); }

  [[nodiscard]] int get() const { return descriptor_; }
  [[nodiscard]] bool is_open() const { return descriptor_ >= 0; }
  void close();

 private:
  int descriptor_ = -1;
};

// The error of the system call that just failed (errno), told as "<what> '<path>': <reason>".
// kNotFound when the file or its folder is not there, else kIo.
tl::unexpected<Error> system_error(std::string_view what, const std::string& path);

// For reading. A folder, pipe or device is an error (and a pipe does not block).
Result<FileDescriptor> open_regular_file(const std::string& path);

// The whole file; kIo when it is larger than max_bytes.
Result<std::string> read_file(const std::string& path, uint64_t max_bytes);

// All of `bytes`, through short writes and signals. `path` is for the error only.
Result<void> write_all(const FileDescriptor& file, std::span<const std::byte> bytes,
                       const std::string& path);

// A file that appears under its name only at commit(): written beside it, synced, renamed.
// Without commit() the unfinished file is removed.
// Written in the pieces of PieceBuffer.
class AtomicFile {
 public:
  static Result<AtomicFile> create(const std::string& path, unsigned permissions = 0644);
  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&& other) = delete;
  ~AtomicFile();

  Result<void> write(std::span<const std::byte> bytes);
  Result<void> write(std::string_view text) { return write(std::as_bytes(std::span(text))); }
  Result<void> commit();
  // For what can be made again: after a power cut the file may be there with other contents.
  Result<void> commit_unsynced();
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  AtomicFile(std::string path, std::string temporary, FileDescriptor file)
      : path_(std::move(path)), temporary_(std::move(temporary)), file_(std::move(file)) {}

  Result<void> flush();

  std::string path_;
  std::string temporary_;  // empty once renamed or moved away
  FileDescriptor file_;
  PieceBuffer pieces_;
};

Result<void> write_file_atomic(const std::string& path, std::string_view text,
                               unsigned permissions = 0644);

// Adds to the end in one write (creating the file), and syncs it when `sync`.
Result<void> append_file(const std::string& path, std::string_view text, bool sync,
                         unsigned permissions = 0644);

// Removes what AtomicFile left in `folder` when its process was killed: temporary files whose
// process is gone and that nobody wrote to for `min_age_seconds`. Gives how many; never an error.
int remove_stale_temporaries(const std::string& folder, int64_t min_age_seconds = 600);

// Makes a rename or a new file in the folder of `path` durable.
Result<void> sync_folder_of(const std::string& path);

}  // namespace llmrun
