// Brings the missing bytes of a file over HTTP: several ranges at once, each tried again from where
// it stopped; in one stream when the server does not know ranges.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/piece_buffer.h"
#include "store/http_client.h"
#include "store/partial_file.h"

namespace llmrun::store {

struct TransferSource {
  std::string url;
  std::vector<std::string> headers;
  std::shared_ptr<HttpAuthorization> authorization;
  uint64_t size = 0;  // of the whole file
  int connections = 8;
};

class PartTransfer {
 public:
  // Called from several threads, never twice for the same bytes at the same time.
  using Store = std::function<Result<void>(uint64_t offset, std::span<const std::byte> bytes)>;

  PartTransfer(const HttpClient& client, const TransferSource& source,
               std::span<const FilePart> parts, Store store);

  // Returns when everything is here or nothing more can be done. `tick` is called ten times a
  // second from this thread.
  Result<void> run(const std::function<void()>& tick);

  [[nodiscard]] std::vector<uint64_t> completed() const;  // of each part
  [[nodiscard]] uint64_t total_completed() const;
  // Bytes from the front of the first part on that are here without a gap.
  [[nodiscard]] uint64_t frontier() const;
  [[nodiscard]] uint64_t received() const { return received_; }
  [[nodiscard]] bool ranges_were_ignored() const { return mode_ == Mode::kWhole; }

 private:
  enum class Mode : uint8_t { kUnknown, kRanges, kWhole };
  struct Part {
    uint64_t offset = 0;
    uint64_t size = 0;
    std::atomic<uint64_t> completed = 0;  // stored
    PieceBuffer arrived;                  // and what is not stored yet; its worker's alone
    std::chrono::steady_clock::time_point stored_at;
    [[nodiscard]] bool is_complete() const { return completed == size; }
  };

  void work(int index);
  Part* next_part();
  Result<void> fetch_part(Part& part);
  HttpOutcome fetch_range(Part& part);
  HttpRequest make_request();
  Result<void> check_range(const HttpResponse& head, const Part& part);
  Result<void> store_in(Part& part, std::span<const std::byte> bytes);
  Result<void> store_if_waiting(Part& part);
  Result<void> store_rest(Part& part);
  Store writer_of(Part& part);  // stores a piece and counts it
  Result<void> fetch_whole(const std::function<void()>& tick);
  HttpOutcome fetch_stream();
  Result<void> store_stream(uint64_t position, std::span<const std::byte> bytes);
  void set_mode(Mode mode);
  void fail(Error error);
  void wait_for_workers(const std::function<void()>& tick);

  const HttpClient& client_;
  const TransferSource& source_;
  Store store_;
  std::vector<std::unique_ptr<Part>> parts_;
  std::atomic<uint64_t> received_ = 0;
  std::atomic<bool> stop_ = false;
  std::atomic<Mode> mode_ = Mode::kUnknown;

  std::mutex mutex_;
  std::condition_variable changed_;
  size_t next_ = 0;  // first part that no worker took yet
  int n_working_ = 0;
  int n_admitted_ = 1;      // so many workers may begin
  std::string direct_url_;  // where the source redirected to, on another host; empty: not known
  std::optional<Error> error_;
};

}  // namespace llmrun::store
