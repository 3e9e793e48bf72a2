// Reads the text of a journal: one record on a line, "CHECKSUM KIND …". Whatever was torn or
// damaged ends the journal there; what stands before is good.
//
//   llmrun batch journal 1
//   8f0c…  job {"input":…}                   what the journal belongs to; the first record
//   51d2…  part ROW FIRST ID ID …            tokens of an answer, from its FIRST one on
//   c3a9…  done ROW {"id":…}                 the finished line of the output
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "llmrun/error.h"
#include "llmrun/message.h"

namespace llmrun::batch {

inline constexpr std::string_view kJournalMagic = "llmrun batch journal 1\n";
inline constexpr size_t kMaxRecordBytes = size_t{256} << 20;

// A record as it stands in the file, with its end of line. `payload` must hold no "\n".
Result<std::string> journal_record(std::string_view payload);

// Where a finished line stands in the file.
struct JournalSpan {
  uint64_t offset = 0;
  uint64_t length = 0;
};

class JournalScan {
 public:
  // The next bytes of the file, cut anywhere. After the first bad record everything is ignored.
  void feed(std::string_view bytes);

  // How many bytes at the front of the file are good; what follows is to be cut off.
  [[nodiscard]] uint64_t good_bytes() const { return good_bytes_; }
  // False for a file that no llmrun has begun as a journal.
  [[nodiscard]] bool could_be_journal() const {
    return good_bytes_ > 0 || (!broken_ && kJournalMagic.starts_with(pending_));
  }
  // What the job record says; empty: there is none, and so nothing else.
  [[nodiscard]] const std::string& job() const { return job_; }
  [[nodiscard]] const std::unordered_map<uint64_t, JournalSpan>& done() const { return done_; }
  // In the order in which they were finished.
  [[nodiscard]] const std::vector<uint64_t>& done_order() const { return done_order_; }
  // Answers that were begun and not finished.
  [[nodiscard]] const std::unordered_map<uint64_t, std::vector<TokenId>>& parts() const {
    return parts_;
  }

 private:
  bool take_line(std::string_view line);
  bool take_record(std::string_view payload, uint64_t offset);
  bool take_part(std::string_view words);

  std::string pending_;  // the beginning of a line that is not complete
  bool broken_ = false;
  uint64_t good_bytes_ = 0;
  std::string job_;
  std::unordered_map<uint64_t, JournalSpan> done_;
  std::vector<uint64_t> done_order_;
  std::unordered_map<uint64_t, std::vector<TokenId>> parts_;
};

}  // namespace llmrun::batch
