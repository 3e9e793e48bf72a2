// From what a person typed after `llmrun run` to a file.
#pragma once

#include <filesystem>
#include <string_view>
#include <vector>

#include "llmrun/error.h"
#include "store/local_store.h"

namespace llmrun::store {

struct ResolveOptions {
  bool fetch = true;  // a catalogue name that is not in the store yet is downloaded
};

// In this order: the path of an existing file; a name in the local store; a name of the catalogue.
// kNotFound says what was tried and lists the names that look alike.
Result<std::filesystem::path> resolve_model(std::string_view name,
                                            const ResolveOptions& options = {});

// The models of the local store.
std::vector<StoredModel> list_models();

}  // namespace llmrun::store
