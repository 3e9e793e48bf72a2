// The journal beside the output: what is finished and what is begun, so that the same command goes
// on after a crash. Append-only; open while the batch runs and locked against a second process.
#pragma once

#include <chrono>
#include <cstdint>
#include <future>
#include <span>
#include <string>
#include <string_view>

#include "base/file_io.h"
#include "batch/journal_scan.h"
#include "llmrun/error.h"

namespace llmrun::batch {

class Journal {
 public:
  // Opens the journal at `path`, or creates it. `restart` forgets what it holds. kUsage when
  // another process holds it, kIo when it cannot be written.
  static Result<Journal> open(const std::string& path, bool restart);
  Journal(Journal&&) noexcept = default;
  Journal& operator=(Journal&&) = delete;
  ~Journal() = default;

  // What an earlier run left. Its job() is empty for a new journal; then begin() comes first.
  [[nodiscard]] const JournalScan& found() const { return found_; }
  Result<void> begin(std::string_view job);

  Result<void> add_done(uint64_t row, std::string_view line);
  Result<void> add_part(uint64_t row, size_t first, std::span<const TokenId> tokens);
  // Makes the records durable: beside the work when the last time was a second ago, or `now`. A
  // power cut loses about a second of running rows; a kill loses none of what was added.
  Result<void> sync(bool now);
  // A finished line of this journal, from this run or an earlier one.
  [[nodiscard]] Result<std::string> read(const JournalSpan& span) const;
  [[nodiscard]] JournalSpan last_line() const { return last_line_; }

  // The last step of a batch, after its output is in place.
  Result<void> remove();

 private:
  Journal(std::string path, FileDescriptor file) : path_(std::move(path)), file_(std::move(file)) {}
  Result<void> scan(bool forget);
  Result<void> append(std::string_view payload);
  Result<void> end_sync();

  std::string path_;
  FileDescriptor file_;
  JournalScan found_;
  uint64_t size_ = 0;
  JournalSpan last_line_;
  bool dirty_ = false;
  std::chrono::steady_clock::time_point last_sync_ = std::chrono::steady_clock::now();
  std::future<int> syncing_;  // gives errno; waits in its destructor, before the file is closed
};

}  // namespace llmrun::batch
