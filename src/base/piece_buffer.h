// Gathers bytes of a file that come one after another, and hands them on in pieces that end at
// multiples of 2 MiB of the file: few writes, and a page cache that knows huge pages then holds the
// file in them, which the next program to map it (to run a model, say) gets.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/error.h"

namespace llmrun {

class PieceBuffer {
 public:
  static constexpr uint64_t kPieceBytes = uint64_t{2} << 20;

  // `offset`: where in the file the next byte belongs.
  explicit PieceBuffer(uint64_t offset = 0) : offset_(offset) {}

  // Where the next byte belongs, and how many bytes before it are only here.
  [[nodiscard]] uint64_t end() const { return offset_ + pending_.size(); }
  [[nodiscard]] uint64_t n_pending() const { return pending_.size(); }

  // `write(offset, bytes)` gives a Result<void> and is called for each whole piece. After an error
  // what was not written stays here.
  template <typename Write>
  Result<void> add(std::span<const std::byte> bytes, const Write& write) {
    while (!bytes.empty()) {
      const uint64_t to_border = kPieceBytes - end() % kPieceBytes;
      if (pending_.empty() && bytes.size() >= to_border) {  // no copy
        const uint64_t n = to_border + (bytes.size() - to_border) / kPieceBytes * kPieceBytes;
        LLMRUN_TRY(write(offset_, bytes.first(n)));
        offset_ += n;
        bytes = bytes.subspan(n);
        continue;
      }
      const uint64_t n = std::min<uint64_t>(bytes.size(), to_border);
      pending_.insert(pending_.end(), bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(n));
      bytes = bytes.subspan(n);
      if (n == to_border) LLMRUN_TRY(flush(write));
    }
    return {};
  }

  template <typename Write>
  Result<void> flush(const Write& write) {
    if (pending_.empty()) return {};
    LLMRUN_TRY(write(offset_, std::span<const std::byte>(pending_)));
    offset_ = end();
    pending_.clear();
    return {};
  }

 private:
  uint64_t offset_;
  std::vector<std::byte> pending_;  // less than a piece, but for a write that failed
};

}  // namespace llmrun
