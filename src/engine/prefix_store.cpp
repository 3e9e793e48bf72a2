// Files of pages and states.
#include "engine/prefix_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <ctime>

#include "base/error.h"
#include "base/fast_hash.h"
#include "base/file_io.h"
#include "base/sha256.h"

namespace llmrun::engine {

using kernels::kPageTokens;
using runtime::kNoPage;
using runtime::kWholeGroup;
using runtime::kWindowGroup;

namespace {

constexpr uint64_t kMagic = 0x31584650'524D4C4C;                    // "LLMRPFX1"
constexpr const char* kEndings[] = {".page", ".window", ".state"};  // of the parts
constexpr unsigned kPrivate = 0600;  // prompts can be read from keys and values
// The disk of the folder keeps at least so much room for others.
constexpr uint64_t kLeastFree = uint64_t{1} << 30;

struct Header {
  uint64_t magic = kMagic;
  uint64_t payload_bytes = 0;
  uint64_t checksum = 0;  // of the payload and the tokens
  std::array<TokenId, kPageTokens> tokens{};
};

uint64_t checksum(std::span<const TokenId> tokens, std::span<const std::byte> payload) {
  return fast_hash(payload, fast_hash(std::as_bytes(tokens)));
}

bool read_all(const FileDescriptor& file, std::span<std::byte> into) {
  while (!into.empty()) {
    const ssize_t n = ::read(file.get(), into.data(), into.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    into = into.subspan(static_cast<size_t>(n));
  }
  return true;
}

bool has_room_on_disk(const std::filesystem::path& folder, uint64_t n_bytes) {
  struct statvfs disk {};
  if (::statvfs(folder.c_str(), &disk) != 0) return true;  // writing will tell
  return static_cast<uint64_t>(disk.f_bavail) * disk.f_frsize >= n_bytes + kLeastFree;
}

// The folder may be one that the user named: nothing but files of this kind is ever removed.
bool is_ours(const std::filesystem::path& path) {
  const std::string stem = path.stem().string();
  const bool is_hash =
      stem.size() == 64 && stem.find_first_not_of("0123456789abcdef") == std::string::npos;
  return is_hash && std::any_of(std::begin(kEndings), std::end(kEndings),
                                [&](const char* ending) { return path.extension() == ending; });
}

}  // namespace

struct PrefixStore::Block {
  std::string name;
  std::span<const TokenId> tokens;
  int64_t index = 0;
};

PrefixStore::PrefixStore(runtime::Context& context, PrefixStoreOptions options)
    : context_(context), options_(std::move(options)) {}

bool PrefixStore::ready() {
  if (!key_.empty()) return true;
  if (!why_not_saved_.empty() || !options_.key) return false;
  const auto words = options_.key();
  const auto hash = words ? sha256_hex(std::as_bytes(std::span(*words))) : words;
  if (!hash) {
    why_not_saved_ = hash.error().message;
    return false;
  }
  key_ = *hash;
  folder_ = options_.folder / key_.substr(0, 16);
  return true;
}

std::vector<PrefixStore::Block> PrefixStore::blocks_of(std::span<const TokenId> tokens) const {
  std::vector<Block> blocks;
  std::string name = key_;
  for (size_t at = 0; at + kPageTokens <= tokens.size(); at += kPageTokens) {
    const auto page = tokens.subspan(at, kPageTokens);
    Sha256 hash;
    hash.update(std::as_bytes(std::span(name)));
    hash.update(std::as_bytes(page));
    auto next = hash.finish();
    if (!next) break;
    name = std::move(*next);
    blocks.push_back({name, page, static_cast<int64_t>(blocks.size())});
  }
  return blocks;
}

std::filesystem::path PrefixStore::path_of(const Block& block, Part part) const {
  return folder_ / (block.name + kEndings[static_cast<size_t>(part)]);
}

bool PrefixStore::has(const Block& block, Part part) const {
  return ::access(path_of(block, part).c_str(), R_OK) == 0;
}

size_t PrefixStore::n_bytes(Part part) const {
  const runtime::KvLayout& layout = context_.cache().layout();
  switch (part) {
    case Part::kPage:
      return layout.page_bytes[kWholeGroup];
    case Part::kWindow:
      return layout.page_bytes[kWindowGroup];
    case Part::kState:
      return context_.states().n_bytes();
  }
  return 0;
}

Result<std::vector<std::byte>> PrefixStore::bytes_of(const PrefixNode& node, Part part) const {
  std::vector<std::byte> bytes(n_bytes(part));
  switch (part) {
    case Part::kPage:
      LLMRUN_TRY(context_.cache().read(kWholeGroup, node.pages[kWholeGroup], bytes));
      break;
    case Part::kWindow:
      LLMRUN_TRY(context_.cache().read(kWindowGroup, node.pages[kWindowGroup], bytes));
      break;
    case Part::kState:
      LLMRUN_TRY(context_.states().read(*node.state, bytes));
  }
  return bytes;
}

void PrefixStore::give(const PrefixNode& node, Part part, std::span<const std::byte> bytes) {
  switch (part) {
    case Part::kPage:
      context_.cache().write(kWholeGroup, node.pages[kWholeGroup], bytes);
      break;
    case Part::kWindow:
      context_.cache().write(kWindowGroup, node.pages[kWindowGroup], bytes);
      break;
    case Part::kState:
      context_.states().write(*node.state, bytes);
  }
}

// ---- loading -----------------------------------------------------------------------------------

// After how many pages the model could go on, given what is in memory and on disk.
size_t PrefixStore::loadable(const std::vector<Block>& blocks,
                             const std::vector<PrefixNode*>& known) const {
  const auto is_known = [&](size_t i) { return i < known.size(); };
  size_t end = 0;
  while (end < blocks.size() && (is_known(end) || has(blocks[end], Part::kPage))) ++end;
  const runtime::KvCache& cache = context_.cache();
  for (; end > 0; --end) {
    const size_t last = end - 1;
    if (context_.states().any() && !(is_known(last) && known[last]->state) &&
        !has(blocks[last], Part::kState)) {
      continue;
    }
    if (!cache.has_window()) break;
    auto i = static_cast<size_t>(cache.first_window_page(static_cast<int64_t>(end) * kPageTokens));
    while (i < end && ((is_known(i) && known[i]->pages[kWindowGroup] != kNoPage) ||
                       has(blocks[i], Part::kWindow))) {
      ++i;
    }
    if (i == end) break;
  }
  return end;
}

void PrefixStore::load(PrefixCache& cache, std::span<const TokenId> tokens) {
  const auto n_tokens = static_cast<int64_t>(tokens.size());
  if (n_tokens < options_.least_tokens || !ready()) return;
  const PrefixCache::Found found = cache.find(tokens);
  const int64_t n_pages = (n_tokens - 1) / kPageTokens;
  if (found.n_whole_pages() >= n_pages) return;
  const std::vector<Block> blocks =
      blocks_of(tokens.first(static_cast<size_t>(n_pages * kPageTokens)));
  std::vector<PrefixNode*> path = found.match.path;
  path.resize(static_cast<size_t>(found.match.n_tokens / kPageTokens));
  const size_t end = loadable(blocks, path);
  if (static_cast<int64_t>(end) * kPageTokens <= found.n_tokens) return;
  const auto first_window = context_.cache().has_window()
                                ? static_cast<size_t>(context_.cache().first_window_page(
                                      static_cast<int64_t>(end) * kPageTokens))
                                : end;
  for (size_t i = 0; i < end; ++i) {
    const bool with_window = i >= first_window;
    if (i >= path.size()) {
      if (!load_block(cache, blocks[i], with_window, path)) return;
    } else if (with_window && path[i]->pages[kWindowGroup] == kNoPage) {
      if (!cache.add_window(path, path[i])) return;
      if (!read(blocks[i], Part::kWindow, *path[i])) {
        cache.drop_window(path[i]);
        return;
      }
    }
  }
  PrefixNode* const last = path[end - 1];
  if (!context_.states().any() || last->state || !cache.add_state(last)) return;
  if (!read(blocks[end - 1], Part::kState, *last)) cache.drop_state(last);
}

bool PrefixStore::load_block(PrefixCache& cache, const Block& block, bool with_window,
                             std::vector<PrefixNode*>& path) {
  PrefixNode* const node = cache.add_blank(path, block.tokens, with_window);
  if (node == nullptr) return false;
  if (read(block, Part::kPage, *node) && (!with_window || read(block, Part::kWindow, *node))) {
    path.push_back(node);
    return true;
  }
  cache.remove(node);
  return false;
}

bool PrefixStore::read(const Block& block, Part part, const PrefixNode& node) {
  const std::filesystem::path path = path_of(block, part);
  const auto file = open_regular_file(path.string());
  if (!file) return false;
  Header header;
  std::vector<std::byte> bytes(n_bytes(part));
  const bool good = read_all(*file, std::as_writable_bytes(std::span(&header, 1))) &&
                    header.magic == kMagic && header.payload_bytes == bytes.size() &&
                    std::equal(block.tokens.begin(), block.tokens.end(), header.tokens.begin()) &&
                    read_all(*file, bytes) && header.checksum == checksum(block.tokens, bytes);
  if (!good) {
    (void)::unlink(path.c_str());
    return false;
  }
  give(node, part, bytes);
  // The time of last use; of a text, the first page is the youngest, so that it goes last.
  timespec now{};
  (void)::clock_gettime(CLOCK_REALTIME, &now);
  now.tv_nsec = std::max<int64_t>(0, now.tv_nsec - block.index * 1000);
  const timespec times[2] = {now, now};
  (void)::futimens(file->get(), times);
  return true;
}

// ---- saving ------------------------------------------------------------------------------------

void PrefixStore::save(const Lease& lease, std::span<const TokenId> held, int64_t n_prompt) {
  if (n_prompt < options_.least_tokens || lease.path.empty() || !ready()) return;
  const auto n_whole = lease.path.size() * static_cast<size_t>(kPageTokens);
  const auto saved = save_all(lease, blocks_of(held.first(n_whole)), n_prompt);
  why_not_saved_ = saved ? "" : saved.error().message;
}

Result<void> PrefixStore::save_all(const Lease& lease, const std::vector<Block>& blocks,
                                   int64_t n_prompt) {
  std::error_code failure;
  std::filesystem::create_directories(folder_, failure);
  if (failure) {
    return make_error(ErrorCode::kIo, "cannot make the folder '{}': {}", folder_.string(),
                      failure.message());
  }
  (void)::chmod(folder_.c_str(), 0700);
  const runtime::KvCache& cache = context_.cache();
  // Windows are of use where a text may be gone on from: after the prompt, and after all.
  const int64_t prompt_end =
      std::min(static_cast<int64_t>(blocks.size()), (n_prompt - 1) / kPageTokens);
  const auto in_window_of = [&](int64_t index, int64_t end) {
    return index < end && index >= cache.first_window_page(end * kPageTokens);
  };
  bool wrote = false;
  for (const Block& block : blocks) {
    const PrefixNode& node = *lease.path[static_cast<size_t>(block.index)];
    LLMRUN_ASSIGN(const bool page, write(block, Part::kPage, node));
    wrote = wrote || page;
    const bool wants_window = in_window_of(block.index, prompt_end) ||
                              in_window_of(block.index, static_cast<int64_t>(blocks.size()));
    if (cache.has_window() && wants_window && node.pages[kWindowGroup] != kNoPage) {
      LLMRUN_TRY(write(block, Part::kWindow, node));
    }
    if (node.state) LLMRUN_TRY(write(block, Part::kState, node));
  }
  if (wrote) limit_size();
  return {};
}

// False: it was there already.
Result<bool> PrefixStore::write(const Block& block, Part part, const PrefixNode& node) const {
  if (has(block, part)) return false;
  if (!has_room_on_disk(folder_, n_bytes(part))) {
    return make_error(ErrorCode::kIo, "the disk of '{}' is nearly full", folder_.string());
  }
  LLMRUN_ASSIGN(const std::vector<std::byte> payload, bytes_of(node, part));
  Header header;
  header.payload_bytes = payload.size();
  header.checksum = checksum(block.tokens, payload);
  std::copy(block.tokens.begin(), block.tokens.end(), header.tokens.begin());
  LLMRUN_ASSIGN(AtomicFile file, AtomicFile::create(path_of(block, part).string(), kPrivate));
  LLMRUN_TRY(file.write(std::as_bytes(std::span(&header, 1))));
  LLMRUN_TRY(file.write(payload));
  LLMRUN_TRY(file.commit_unsynced());
  return true;
}

void PrefixStore::limit_size() const {
  (void)remove_stale_temporaries(folder_.string());
  struct Stored {
    std::filesystem::file_time_type used;
    uint64_t bytes;
    std::filesystem::path path;
  };
  std::vector<Stored> all;
  uint64_t total = 0;
  std::error_code failure;
  for (std::filesystem::recursive_directory_iterator at(options_.folder, failure), end;
       !failure && at != end; at.increment(failure)) {
    std::error_code gone;
    if (!at->is_regular_file(gone) || !is_ours(at->path())) continue;
    const uint64_t bytes = at->file_size(gone);
    const auto used = at->last_write_time(gone);
    if (gone) continue;
    total += bytes;
    all.push_back({used, bytes, at->path()});
  }
  std::sort(all.begin(), all.end(),
            [](const Stored& a, const Stored& b) { return a.used < b.used; });
  for (const Stored& oldest : all) {
    if (total <= options_.max_bytes) break;
    std::error_code gone;
    std::filesystem::remove(oldest.path, gone);
    total -= oldest.bytes;
  }
}

}  // namespace llmrun::engine
