// Hashes a file while it is being written, following the part of it that is there without a gap.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <thread>

#include "base/file_io.h"
#include "store/block_checks.h"

namespace llmrun::store {

class InOrderHash {
 public:
  // `frontier` says how many bytes from the front may be read; asked from another thread.
  InOrderHash(const FileDescriptor& file, std::string path, uint64_t size,
              std::function<uint64_t()> frontier);
  ~InOrderHash();
  InOrderHash(const InOrderHash&) = delete;
  InOrderHash& operator=(const InOrderHash&) = delete;

  // Waits for the rest; call it when the whole file is there.
  Result<std::string> finish();
  [[nodiscard]] uint64_t hashed() const { return hashed_; }
  [[nodiscard]] bool has_failed() const { return failed_; }            // finish() tells why
  [[nodiscard]] const BlockChecks& checks() const { return checks_; }  // after finish()

 private:
  void work();
  Result<void> hash_up_to(uint64_t end, std::vector<std::byte>& buffer);

  const FileDescriptor& file_;
  std::string path_;
  std::function<uint64_t()> frontier_;
  BlockChecks checks_;
  Sha256 hash_;
  std::atomic<uint64_t> hashed_ = 0;
  std::atomic<bool> stop_ = false;
  std::atomic<bool> failed_ = false;
  Result<std::string> digest_;
  std::jthread thread_;  // last: it uses all of the above
};

}  // namespace llmrun::store
