// What was read, on disk: pages and states of texts, so that a later process with the same model
// and a prompt that begins alike need not read it again. A file holds one page of tokens (or the
// state after it), under the SHA-256 of all tokens up to there and of everything its bytes depend
// on. Files are written whole or not at all, carry a checksum and their tokens, and one that does
// not fit is removed. The folder never grows beyond a limit: what was unused for longest goes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "engine/prefix_cache.h"
#include "runtime/model.h"

namespace llmrun::engine {

struct PrefixStoreOptions {
  std::filesystem::path folder;
  // Model, kernels, and whatever else other bytes would come from. Asked for once, when a prompt is
  // long enough.
  std::function<Result<std::string>()> key;
  uint64_t max_bytes = uint64_t{4} << 30;
  // Shorter prompts are read faster than looked up.
  int64_t least_tokens = 256;
};

class PrefixStore {
 public:
  // `context` must outlive this object. The folder is made when something is saved.
  PrefixStore(runtime::Context& context, PrefixStoreOptions options);

  // Reads what follows in `tokens` after what `cache` has of them. Never an error: what cannot be
  // read is not there.
  void load(PrefixCache& cache, std::span<const TokenId> tokens);
  // Writes the whole pages of a sequence whose prompt had `n_prompt` tokens. An error (disk full,
  // no permission) ends the saving and is told by why_not_saved().
  void save(const Lease& lease, std::span<const TokenId> held, int64_t n_prompt);
  [[nodiscard]] const std::string& why_not_saved() const { return why_not_saved_; }

 private:
  // Makes the key; false: it cannot be made, so nothing is kept.
  bool ready();
  enum class Part : uint8_t { kPage, kWindow, kState };
  struct Block;
  // The names of the whole pages of `tokens`.
  [[nodiscard]] std::vector<Block> blocks_of(std::span<const TokenId> tokens) const;
  [[nodiscard]] std::filesystem::path path_of(const Block& block, Part part) const;
  [[nodiscard]] bool has(const Block& block, Part part) const;
  [[nodiscard]] size_t loadable(const std::vector<Block>& blocks,
                                const std::vector<PrefixNode*>& known) const;
  bool load_block(PrefixCache& cache, const Block& block, bool with_window,
                  std::vector<PrefixNode*>& path);
  // What is written to files: made of what a node holds, and given to it.
  [[nodiscard]] size_t n_bytes(Part part) const;
  [[nodiscard]] Result<std::vector<std::byte>> bytes_of(const PrefixNode& node, Part part) const;
  void give(const PrefixNode& node, Part part, std::span<const std::byte> bytes);
  // Gives the node what a file has; false: there is none that could be used.
  bool read(const Block& block, Part part, const PrefixNode& node);
  Result<bool> write(const Block& block, Part part, const PrefixNode& node) const;
  Result<void> save_all(const Lease& lease, const std::vector<Block>& blocks, int64_t n_prompt);
  void limit_size() const;

  runtime::Context& context_;
  PrefixStoreOptions options_;
  std::string key_;               // empty: not made yet
  std::filesystem::path folder_;  // of this key
  std::string why_not_saved_;
};

}  // namespace llmrun::engine
