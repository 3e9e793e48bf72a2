// Lines, checksums, records.
#include "batch/journal_scan.h"

#include <charconv>

#include "base/error.h"
#include "base/sha256.h"

namespace llmrun::batch {
namespace {

constexpr size_t kChecksumDigits = 16;  // of a SHA-256: against accidents, not against forgers

// The number at the front of `words`, which then begins behind it and one blank.
template <typename T>
bool take_number(std::string_view& words, T& number) {
  const auto [end, status] = std::from_chars(words.data(), words.data() + words.size(), number);
  if (status != std::errc()) return false;
  words.remove_prefix(static_cast<size_t>(end - words.data()));
  if (words.empty()) return true;
  if (words.front() != ' ') return false;
  words.remove_prefix(1);
  return true;
}

bool take_word(std::string_view& words, std::string_view word) {
  if (!words.starts_with(word)) return false;
  words.remove_prefix(word.size());
  return true;
}

Result<std::string> checksum(std::string_view payload) {
  LLMRUN_ASSIGN(std::string digest, sha256_hex(std::as_bytes(std::span(payload))));
  digest.resize(kChecksumDigits);
  return digest;
}

}  // namespace

Result<std::string> journal_record(std::string_view payload) {
  if (payload.find('\n') != std::string_view::npos) {
    return make_error(ErrorCode::kInternal, "A record of the journal must be one line.");
  }
  LLMRUN_ASSIGN(std::string line, checksum(payload));
  line += ' ';
  line += payload;
  line += '\n';
  return line;
}

void JournalScan::feed(std::string_view bytes) {
  while (!broken_ && !bytes.empty()) {
    const size_t end = bytes.find('\n');
    if (end == std::string_view::npos) {
      pending_ += bytes;
      if (pending_.size() > kMaxRecordBytes) broken_ = true;
      return;
    }
    pending_ += bytes.substr(0, end + 1);
    bytes.remove_prefix(end + 1);
    if (take_line(pending_)) {
      good_bytes_ += pending_.size();
    } else {
      broken_ = true;
    }
    pending_.clear();
  }
}

bool JournalScan::take_line(std::string_view line) {
  if (good_bytes_ == 0) return line == kJournalMagic;
  line.remove_suffix(1);
  if (line.size() <= kChecksumDigits || line[kChecksumDigits] != ' ') return false;
  const std::string_view payload = line.substr(kChecksumDigits + 1);
  const auto wanted = checksum(payload);
  if (!wanted || line.substr(0, kChecksumDigits) != *wanted) return false;
  return take_record(payload, good_bytes_ + kChecksumDigits + 1);
}

bool JournalScan::take_record(std::string_view payload, uint64_t offset) {
  std::string_view words = payload;
  if (take_word(words, "job ")) {
    if (!job_.empty()) return false;
    job_ = words;
    return !job_.empty();
  }
  if (job_.empty()) return false;
  if (take_word(words, "part ")) return take_part(words);
  if (!take_word(words, "done ")) return false;
  uint64_t row = 0;
  if (!take_number(words, row) || words.empty()) return false;
  const JournalSpan span = {offset + (payload.size() - words.size()), words.size()};
  if (!done_.emplace(row, span).second) return false;  // no row is finished twice
  done_order_.push_back(row);
  parts_.erase(row);
  return true;
}

bool JournalScan::take_part(std::string_view words) {
  uint64_t row = 0;
  uint64_t first = 0;
  if (!take_number(words, row) || !take_number(words, first) || done_.contains(row)) return false;
  std::vector<TokenId>& tokens = parts_[row];
  if (first != tokens.size()) return false;
  while (!words.empty()) {
    TokenId id = 0;
    if (!take_number(words, id) || id < 0) return false;
    tokens.push_back(id);
  }
  return true;
}

}  // namespace llmrun::batch
