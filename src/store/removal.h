// Taking things out of llmrun's own store: models by name, and what no model needs any more.
// Nothing is ever deleted in another tool's store, nor through a link.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "llmrun/error.h"
#include "store/local_store.h"

namespace llmrun::store {

struct RemovedModel {
  std::string name;
  uint64_t freed = 0;   // bytes of blobs that no other model needs
  uint64_t shared = 0;  // bytes that other models keep
};

// The name goes first, then the blobs that were needed by it alone. kNotFound when the store has no
// such model.
Result<RemovedModel> remove_model(const LocalStore& store, const ModelName& name);

struct Rubbish {
  std::filesystem::path path;
  std::string what;  // "blob of no model", "unfinished download", …
  uint64_t bytes = 0;
};

// What no model needs. Unfinished downloads younger than an hour are left out: another tool may be
// at work. kBadModel when a manifest cannot be read, for then what it needs is not known.
Result<std::vector<Rubbish>> find_rubbish(const LocalStore& store);
// Deletes it; `find` is repeated under the store's lock, and only what both found goes.
Result<uint64_t> remove_rubbish(const LocalStore& store, std::span<const Rubbish> rubbish);

// kUsage when deleting in this store would delete elsewhere: its folders are links, or it is
// Ollama's.
Result<void> check_is_own(const LocalStore& store);

}  // namespace llmrun::store
