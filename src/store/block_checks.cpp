// Checks of single blocks; see block_checks.h.
#include "store/block_checks.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/error.h"

namespace llmrun::store {
namespace {

using Json = nlohmann::ordered_json;

constexpr uint64_t kSmallestBlock = uint64_t{16} << 20;
constexpr uint64_t kMostBlocks = 4096;
constexpr uint64_t kMaxFileBytes = uint64_t{1} << 20;
constexpr size_t kBufferBytes = size_t{1} << 20;
constexpr size_t kHexPerWord = 8;

// Of SHA-256 before the first byte (FIPS 180-4, 5.3.3).
constexpr Sha256State kInitialState = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                       0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

std::string to_hex(const Sha256State& state) {
  std::string text;
  for (const uint32_t word : state) text += fmt::format("{:08x}", word);
  return text;
}

std::optional<Sha256State> from_hex(std::string_view text) {
  Sha256State state{};
  if (text.size() != state.size() * kHexPerWord) return std::nullopt;
  for (size_t i = 0; i < state.size(); ++i) {
    const char* const begin = text.data() + i * kHexPerWord;
    const auto [end, error] = std::from_chars(begin, begin + kHexPerWord, state[i], 16);
    if (error != std::errc() || end != begin + kHexPerWord) return std::nullopt;
  }
  return state;
}

// Hashes [begin, end) of the file into `hash`.
Result<void> hash_range(const FileDescriptor& file, const std::string& path, uint64_t begin,
                        uint64_t end, Sha256& hash) {
  std::vector<std::byte> buffer(kBufferBytes);
  while (begin < end) {
    const size_t wanted = std::min<uint64_t>(buffer.size(), end - begin);
    const ssize_t n_read = pread(file.get(), buffer.data(), wanted, static_cast<off_t>(begin));
    if (n_read < 0 && errno == EINTR) continue;
    if (n_read < 0) return system_error("cannot read", path);
    if (n_read == 0) return {};  // shorter than it was: the state will not fit
    hash.update(std::span(buffer).first(static_cast<size_t>(n_read)));
    begin += static_cast<uint64_t>(n_read);
  }
  return {};
}

}  // namespace

uint64_t block_bytes_for(uint64_t file_size) {
  const uint64_t needed = file_size / kMostBlocks + 1;
  return (std::max(needed, kSmallestBlock) + kSmallestBlock - 1) / kSmallestBlock * kSmallestBlock;
}

Result<void> save_block_checks(const std::filesystem::path& path, const BlockChecks& checks) {
  Json json{{"size", checks.size}, {"block_bytes", checks.block_bytes}, {"states", Json::array()}};
  for (const Sha256State& state : checks.states) json["states"].push_back(to_hex(state));
  std::error_code error;
  std::filesystem::create_directories(path.parent_path(), error);
  return write_file_atomic(path.string(), json.dump());
}

Result<BlockChecks> load_block_checks(const std::filesystem::path& path, uint64_t file_size) {
  LLMRUN_ASSIGN(const std::string text, read_file(path.string(), kMaxFileBytes));
  const auto bad = [&] {
    return make_error(ErrorCode::kIo, "'{}' holds no block checks", path.string());
  };
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object() || !json.contains("size") || json["size"] != file_size ||
      !json.contains("block_bytes") || !json.contains("states") || !json["states"].is_array()) {
    return bad();
  }
  BlockChecks checks{file_size, block_bytes_for(file_size), {}};
  if (json["block_bytes"] != checks.block_bytes) return bad();
  for (const Json& entry : json["states"]) {
    const auto state = entry.is_string() ? from_hex(entry.get<std::string>()) : std::nullopt;
    if (!state) return bad();
    checks.states.push_back(*state);
  }
  if (checks.states.size() != file_size / checks.block_bytes) return bad();
  return checks;
}

Result<std::vector<ByteRange>> find_bad_blocks(
    const FileDescriptor& file, const std::string& path, const BlockChecks& checks,
    const std::string& sha256, const std::function<Result<void>(uint64_t)>& progress) {
  std::vector<ByteRange> bad;
  const size_t n_blocks = checks.states.size() + (checks.size % checks.block_bytes != 0 ? 1 : 0);
  for (size_t i = 0; i < n_blocks; ++i) {
    const uint64_t begin = i * checks.block_bytes;
    const uint64_t end = std::min(begin + checks.block_bytes, checks.size);
    Sha256 hash(i == 0 ? kInitialState : checks.states[i - 1], begin);
    LLMRUN_TRY(hash_range(file, path, begin, end, hash));
    bool good = false;
    if (i < checks.states.size()) {
      good = hash.state() == checks.states[i];
    } else {
      LLMRUN_ASSIGN(const std::string digest, hash.finish());
      good = digest == sha256;
    }
    if (!good && !bad.empty() && bad.back().first + bad.back().second == begin) {
      bad.back().second += end - begin;
    } else if (!good) {
      bad.emplace_back(begin, end - begin);
    }
    LLMRUN_TRY(progress(end));
  }
  return bad;
}

}  // namespace llmrun::store
