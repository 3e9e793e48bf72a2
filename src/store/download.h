// A file of known size, and mostly of known SHA-256, from an address to a place on the disk. It
// appears under its name only when it is complete and verified; until then it is a partial file
// (partial_file.h) that the next call, or Ollama, goes on with.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "store/http_client.h"

namespace llmrun::store {

struct DownloadRequest {
  std::string name = {};  // for the progress bar: "pulling 1a2b3c4d5e6f"
  std::string url = {};
  std::vector<std::string> headers = {};
  std::shared_ptr<HttpAuthorization> authorization = {};  // for the host of `url` alone
  uint64_t size = 0;
  std::string sha256 = {};            // 64 lower-case hex digits; empty: only the size is checked
  std::filesystem::path target = {};  // its folder exists
  std::filesystem::path checks =
      {};  // where to keep the block checks (block_checks.h); empty: nowhere
  int connections = 8;
};

struct DownloadReport {
  bool was_there = false;  // the file was complete, or another process completed it
  uint64_t resumed = 0;    // bytes that an earlier download had brought
  uint64_t received = 0;   // bytes that came over the network now
};

// Shows progress on stderr. When the digest does not fit, the file is fetched again and compared:
// only what differs is written, and fetched once more if need be. Errors: kIo (disk full, said
// before anything is fetched), kNetwork, kInterrupted; whatever came so far is kept.
Result<DownloadReport> download(const HttpClient& client, const DownloadRequest& request);

// kIo when the file system of `folder` has less than `n_bytes` free; the message names `what`.
Result<void> check_disk_space(const std::filesystem::path& folder, uint64_t n_bytes,
                              const std::string& what);

}  // namespace llmrun::store
