// Folders of the stores.
#pragma once

#include <filesystem>

#include "llmrun/error.h"

namespace llmrun::store {

// The folder and those above it, where they are missing.
Result<void> make_folder(const std::filesystem::path& folder);

}  // namespace llmrun::store
