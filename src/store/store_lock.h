// Keeps those who add to a store and those who delete from it apart: a blob that has come but is
// not yet named by a manifest must not be taken for rubbish.
#pragma once

#include <filesystem>

#include "base/file_io.h"
#include "llmrun/error.h"

namespace llmrun::store {

// Held until the object goes, or the process does. Several may add at the same time.
Result<FileDescriptor> lock_for_adding(const std::filesystem::path& root);
// kIo when somebody adds just now.
Result<FileDescriptor> lock_for_deleting(const std::filesystem::path& root);

}  // namespace llmrun::store
