// Gives a model file a second place without a second copy of its bytes.
#pragma once

#include <filesystem>

#include "llmrun/error.h"

namespace llmrun::store {

enum class LinkKind : uint8_t {
  kReflink,   // a copy that shares the disk's blocks until one of the two changes
  kHardLink,  // a second name: a change of the one is a change of the other
  kSymbolic,  // a pointer: gone when the file is moved
};

// The first of the three that the file systems can do. `to` must not exist.
Result<LinkKind> link_file(const std::filesystem::path& from, const std::filesystem::path& to);

// kBadModel for a file that is none; kNotFound when there is no file.
Result<void> check_is_gguf(const std::filesystem::path& file);

}  // namespace llmrun::store
