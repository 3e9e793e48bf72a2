// One download from beginning to end; see download.h.
#include "store/download.h"

#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <mutex>
#include <optional>
#include <thread>

#include "base/error.h"
#include "base/progress.h"
#include "base/sha256.h"
#include "base/units.h"
#include "store/block_checks.h"
#include "store/in_order_hash.h"
#include "store/part_transfer.h"
#include "store/partial_file.h"
#include "store/say.h"

namespace llmrun::store {
namespace {

namespace fs = std::filesystem;

constexpr auto kSaveInterval = std::chrono::seconds(1);
constexpr int kRepairRounds = 4;  // the whole file once, then what differed
constexpr uint64_t kRepairGrain = uint64_t{1} << 20;

Result<void> write_at(const FileDescriptor& file, uint64_t offset, std::span<const std::byte> bytes,
                      const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t n = pwrite(file.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return system_error("cannot write", path);
    bytes = bytes.subspan(static_cast<size_t>(n));
    offset += static_cast<uint64_t>(n);
  }
  return {};
}

bool is_same_at(const FileDescriptor& file, uint64_t offset, std::span<const std::byte> bytes) {
  std::vector<std::byte> there(bytes.size());
  size_t n_read = 0;
  while (n_read < there.size()) {
    const ssize_t n = pread(file.get(), there.data() + n_read, there.size() - n_read,
                            static_cast<off_t>(offset + n_read));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    n_read += static_cast<size_t>(n);
  }
  return std::memcmp(there.data(), bytes.data(), bytes.size()) == 0;
}

// Tells the disk every second how far the parts are, until it goes; then once more.
class Saver {
 public:
  Saver(PartialFile& partial, const PartTransfer& transfer)
      : partial_(partial), transfer_(transfer), thread_([this](const std::stop_token& stop) {
          using Clock = std::chrono::steady_clock;
          Clock::time_point next = Clock::now() + kSaveInterval;
          while (!stop.stop_requested()) {
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
            const Clock::time_point begin = Clock::now();
            if (begin < next) continue;
            if (auto saved = partial_.save(transfer_.completed()); !saved) result_ = saved;
            // A slow disk is given time for its real work.
            const Clock::time_point end = Clock::now();
            next = end + std::max<Clock::duration>(kSaveInterval, 3 * (end - begin));
          }
        }) {}
  Result<void> finish() {
    thread_.request_stop();
    thread_.join();
    LLMRUN_TRY(result_);
    return partial_.save(transfer_.completed());
  }

 private:
  PartialFile& partial_;
  const PartTransfer& transfer_;
  Result<void> result_;
  std::jthread thread_;
};

// The ranges that came differently this time, in whole grains.
class Differences {
 public:
  void add(uint64_t offset, uint64_t size) {
    const std::lock_guard lock(mutex_);
    for (uint64_t grain = offset / kRepairGrain; grain <= (offset + size - 1) / kRepairGrain;
         ++grain) {
      grains_.push_back(grain);
    }
  }
  // As parts with nothing in them.
  std::vector<FilePart> parts(uint64_t file_size) {
    std::sort(grains_.begin(), grains_.end());
    std::vector<FilePart> parts;
    for (const uint64_t grain : grains_) {
      const uint64_t begin = grain * kRepairGrain;
      const uint64_t end = std::min(begin + kRepairGrain, file_size);
      const uint64_t last_end = parts.empty() ? 0 : parts.back().offset + parts.back().size;
      if (!parts.empty() && end <= last_end) continue;
      if (!parts.empty() && begin == last_end) {
        parts.back().size += end - begin;
      } else {
        parts.push_back({static_cast<int>(parts.size()), begin, end - begin, 0});
      }
    }
    return parts;
  }

 private:
  std::mutex mutex_;
  std::vector<uint64_t> grains_;
};

class Download {
 public:
  Download(const HttpClient& client, const DownloadRequest& request, PartialFile partial)
      : client_(client), request_(request), partial_(std::move(partial)) {
    source_ = {request.url, request.headers, request.authorization, request.size,
               request.connections};
  }

  Result<DownloadReport> run() {
    const uint64_t allocated = bytes_allocated(partial_.path());
    LLMRUN_TRY(check_disk_space(request_.target.parent_path(),
                                request_.size - std::min(allocated, request_.size), request_.name));
    report_.resumed = partial_.completed();
    LLMRUN_ASSIGN(std::string digest, fetch_missing());
    if (!request_.sha256.empty() && digest != request_.sha256) LLMRUN_TRY(repair());
    LLMRUN_TRY(partial_.commit());
    if (!request_.checks.empty() && !checks_.states.empty()) {
      // Only a help for later repairs: without it they fetch more.
      (void)save_block_checks(request_.checks, checks_);
    }
    return report_;
  }

 private:
  // Brings what the part files say is missing; the digest of the whole file, empty when none is
  // wanted.
  Result<std::string> fetch_missing() {
    Progress progress(request_.name, request_.size, report_.resumed);
    PartTransfer transfer(client_, source_, partial_.parts(),
                          [this](uint64_t offset, std::span<const std::byte> bytes) {
                            return write_at(partial_.file(), offset, bytes, partial_.path());
                          });
    Saver saver(partial_, transfer);
    std::optional<InOrderHash> hash;
    if (!request_.sha256.empty()) {
      hash.emplace(partial_.file(), partial_.path(), request_.size,
                   [&] { return transfer.frontier(); });
    }
    auto result = transfer.run([&] { progress.update(transfer.total_completed()); });
    const auto saved = saver.finish();
    report_.received += transfer.received();
    if (!result) return tl::unexpected<Error>(result.error());
    LLMRUN_TRY(saved);
    progress.update(request_.size);
    progress.finish();
    if (!hash) return std::string();
    auto digest = hash->finish();
    checks_ = hash->checks();
    return digest;
  }

  Result<std::string> hash_whole() {
    InOrderHash hash(partial_.file(), partial_.path(), request_.size,
                     [this] { return request_.size; });
    auto digest = hash.finish();
    checks_ = hash.checks();
    return digest;
  }

  // Nothing says which bytes are wrong. What comes the same twice is taken as right; what differs
  // is fetched until it fits.
  Result<void> repair() {
    say("{}: the bytes do not fit their SHA-256, and nothing says which of them are wrong: all {} "
        "are fetched again and compared",
        request_.name, format_bytes_decimal(request_.size));
    std::vector<FilePart> parts = plan_parts(request_.size);
    for (int round = 0; round < kRepairRounds; ++round) {
      Differences differences;
      LLMRUN_TRY(fetch_and_compare(parts, differences));
      LLMRUN_ASSIGN(const std::string digest, hash_whole());
      if (digest == request_.sha256) return {};
      parts = differences.parts(request_.size);
      if (parts.empty()) break;
    }
    const bool steady = parts.empty();
    partial_.discard();
    return make_error(
        ErrorCode::kNetwork,
        "{}: what {} sends does not fit the SHA-256 {}{}; nothing of it is kept", request_.name,
        parse_url(request_.url)->shown(), request_.sha256,
        steady ? ", the same bytes each time: the file there is another one"
               : ", and it comes differently each time: try again, or through another network");
  }

  Result<void> fetch_and_compare(const std::vector<FilePart>& parts, Differences& differences) {
    uint64_t total = 0;
    for (const FilePart& part : parts) total += part.size;
    Progress progress(request_.name + " again", total);
    const auto compare = [&](uint64_t offset, std::span<const std::byte> bytes) -> Result<void> {
      while (!bytes.empty()) {
        const auto grain =
            bytes.first(std::min<uint64_t>(bytes.size(), kRepairGrain - offset % kRepairGrain));
        if (!is_same_at(partial_.file(), offset, grain)) {
          differences.add(offset, grain.size());
          LLMRUN_TRY(write_at(partial_.file(), offset, grain, partial_.path()));
        }
        offset += grain.size();
        bytes = bytes.subspan(grain.size());
      }
      return {};
    };
    PartTransfer transfer(client_, source_, parts, compare);
    auto result = transfer.run([&] { progress.update(transfer.total_completed()); });
    report_.received += transfer.received();
    if (result) progress.finish();
    return result;
  }

  const HttpClient& client_;
  const DownloadRequest& request_;
  PartialFile partial_;
  TransferSource source_;
  DownloadReport report_;
  BlockChecks checks_;
};

}  // namespace

Result<void> check_disk_space(const fs::path& folder, uint64_t n_bytes, const std::string& what) {
  struct statvfs space {};
  if (statvfs(folder.c_str(), &space) != 0) return {};  // the write itself will tell
  const uint64_t available = uint64_t{space.f_bavail} * space.f_frsize;
  if (available >= n_bytes) return {};
  return make_error(ErrorCode::kIo,
                    "{} needs {} more of disk space, and {} has {} free; make room or choose "
                    "another folder (LLMRUN_HOME)",
                    what, format_bytes_decimal(n_bytes), folder.string(),
                    format_bytes_decimal(available));
}

Result<DownloadReport> download(const HttpClient& client, const DownloadRequest& request) {
  std::error_code error;
  if (fs::exists(request.target, error)) return DownloadReport{.was_there = true};
  const auto waiting = [&] {
    say("{}: another process is fetching it; waiting for that one", request.name);
  };
  LLMRUN_ASSIGN(PartialFile partial, PartialFile::open(request.target, request.size,
                                                       client.options().cancelled, waiting));
  if (partial.is_done()) return DownloadReport{.was_there = true};
  return Download(client, request, std::move(partial)).run();
}

}  // namespace llmrun::store
