// A download on its way, in the form that Ollama gives it, so that either goes on with what the
// other began: beside the target a file "<target>-partial" of the full size, and for each part of
// it "<target>-partial-<N>" with {"N":0,"Offset":0,"Size":9,"Completed":4}. What a part file calls
// completed was on the disk before the part file said so.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/file_io.h"
#include "llmrun/error.h"

namespace llmrun::store {

struct FilePart {
  int number = 0;
  uint64_t offset = 0;
  uint64_t size = 0;
  uint64_t completed = 0;  // bytes from the front of the part
};

// Parts that tile [0, size), none completed.
std::vector<FilePart> plan_parts(uint64_t size);

// Bytes of the disk that a file takes (sparse files take less than their size); 0 when it is not
// there.
uint64_t bytes_allocated(const std::string& path);

// Turns the file at `target` into a partial download in which only the bytes outside `bad` (offset
// and size, ascending) count. A file with other names (hard links, a symbolic link) is copied
// first: what it is linked to is never written to.
Result<void> reopen_as_partial(const std::filesystem::path& target, uint64_t size,
                               std::span<const std::pair<uint64_t, uint64_t>> bad);

// One process at a time holds a partial file: it is locked until the object goes.
class PartialFile {
 public:
  // Opens or creates, waits until no other process holds it (`waiting` is then called once), and
  // reads the parts. Part files that make no sense are dropped and their bytes count as missing.
  // When the target appeared meanwhile (the other process finished), is_done() is true.
  static Result<PartialFile> open(const std::filesystem::path& target, uint64_t size,
                                  const std::function<bool()>& cancelled,
                                  const std::function<void()>& waiting);

  [[nodiscard]] bool is_done() const { return !file_.is_open(); }
  [[nodiscard]] const std::vector<FilePart>& parts() const { return parts_; }
  [[nodiscard]] uint64_t completed() const;
  [[nodiscard]] const FileDescriptor& file() const { return file_; }
  [[nodiscard]] std::string path() const;

  // `completed`: of each part, in the order of parts(). Syncs the data first, then tells it.
  Result<void> save(std::span<const uint64_t> completed);
  // Syncs, gives the file its final name, removes the part files.
  Result<void> commit();
  // Removes everything: the bytes are known to be wrong.
  void discard();

  friend Result<void> reopen_as_partial(const std::filesystem::path& target, uint64_t size,
                                        std::span<const std::pair<uint64_t, uint64_t>> bad);

 private:
  explicit PartialFile(std::filesystem::path target) : target_(std::move(target)) {}
  Result<void> prepare(uint64_t size);
  [[nodiscard]] std::filesystem::path part_path(int number) const;
  [[nodiscard]] std::vector<int> part_numbers() const;
  void read_parts(uint64_t size, uint64_t bytes_there);
  Result<void> write_part(const FilePart& part) const;
  void remove_parts() const;

  std::filesystem::path target_;
  FileDescriptor file_;
  std::vector<FilePart> parts_;
};

}  // namespace llmrun::store
