// The thread that hashes behind the writers; see in_order_hash.h.
#include "store/in_order_hash.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <vector>

#include "base/error.h"

namespace llmrun::store {
namespace {

constexpr size_t kBufferBytes = size_t{256} << 10;  // stays in the L2 cache between copy and hash
constexpr auto kPoll = std::chrono::milliseconds(2);

}  // namespace

InOrderHash::InOrderHash(const FileDescriptor& file, std::string path, uint64_t size,
                         std::function<uint64_t()> frontier)
    : file_(file), path_(std::move(path)), frontier_(std::move(frontier)) {
  checks_.size = size;
  checks_.block_bytes = block_bytes_for(size);
  thread_ = std::jthread([this] { work(); });
}

InOrderHash::~InOrderHash() { stop_ = true; }

Result<std::string> InOrderHash::finish() {
  if (thread_.joinable()) thread_.join();
  return digest_;
}

void InOrderHash::work() {
  std::vector<std::byte> buffer(kBufferBytes);
  while (hashed_ < checks_.size && !stop_) {
    const uint64_t end = frontier_();
    if (end == hashed_) {
      std::this_thread::sleep_for(kPoll);
      continue;
    }
    auto result = hash_up_to(end, buffer);
    if (!result) {
      digest_ = tl::unexpected<Error>(result.error());
      failed_ = true;
      return;
    }
  }
  digest_ = hash_.finish();
}

Result<void> InOrderHash::hash_up_to(uint64_t end, std::vector<std::byte>& buffer) {
  while (hashed_ < end && !stop_) {
    const uint64_t to_border = checks_.block_bytes - hashed_ % checks_.block_bytes;
    const size_t wanted = std::min({uint64_t{buffer.size()}, end - hashed_, to_border});
    const ssize_t n_read = pread(file_.get(), buffer.data(), wanted, static_cast<off_t>(hashed_));
    if (n_read < 0 && errno == EINTR) continue;
    if (n_read < 0) return system_error("cannot read", path_);
    if (n_read == 0) return make_error(ErrorCode::kIo, "'{}' became shorter", path_);
    hash_.update(std::span(buffer).first(static_cast<size_t>(n_read)));
    hashed_ += static_cast<uint64_t>(n_read);
    if (hashed_ % checks_.block_bytes == 0) {
      if (const auto state = hash_.state()) checks_.states.push_back(*state);
    }
  }
  return {};
}

}  // namespace llmrun::store
