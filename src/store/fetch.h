// Brings a model of the catalogue into the local store.
#pragma once

#include <filesystem>

#include "llmrun/error.h"
#include "store/catalog.h"
#include "store/local_store.h"

namespace llmrun::store {

// Fetches from the entry's sources in order, verifies size and SHA-256 while writing, and publishes
// the name last. Shows progress on stderr. Two processes that fetch the same model share one
// download (the second waits). kNetwork lists what was tried and why it failed.
// Returns the path of the GGUF file.
Result<std::filesystem::path> fetch_model(const CatalogEntry& entry, const LocalStore& store);

}  // namespace llmrun::store
