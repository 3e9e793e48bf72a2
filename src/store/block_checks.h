// The states that SHA-256 went through while a file was hashed, one for every block of some
// megabytes. With them each block of the file can be checked by itself, so that damage is mended by
// fetching the damaged blocks alone, although the registry tells one digest for the whole.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/file_io.h"
#include "base/sha256.h"
#include "llmrun/error.h"

namespace llmrun::store {

struct BlockChecks {
  uint64_t size = 0;                // of the file
  uint64_t block_bytes = 0;         // a multiple of Sha256::kBlockBytes
  std::vector<Sha256State> states;  // states[i]: behind block i; whole blocks only
};

// 16 MiB, or more for a file that would have too many blocks.
uint64_t block_bytes_for(uint64_t file_size);

Result<void> save_block_checks(const std::filesystem::path& path, const BlockChecks& checks);
// kNotFound when there is none; kIo when it makes no sense for a file of that size.
Result<BlockChecks> load_block_checks(const std::filesystem::path& path, uint64_t file_size);

using ByteRange = std::pair<uint64_t, uint64_t>;  // offset, size

// The blocks of the open file that are not as they were when `checks` were taken; neighbours are
// joined. `sha256` decides about the last block. `progress` hears the bytes checked so far.
Result<std::vector<ByteRange>> find_bad_blocks(
    const FileDescriptor& file, const std::string& path, const BlockChecks& checks,
    const std::string& sha256, const std::function<Result<void>(uint64_t)>& progress);

}  // namespace llmrun::store
