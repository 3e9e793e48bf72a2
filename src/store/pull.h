// Brings a model of a registry into the local store: manifest, config, layers, each verified; the
// manifest becomes visible last.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "llmrun/error.h"
#include "store/http_client.h"
#include "store/local_store.h"
#include "store/model_name.h"

namespace llmrun::store {

struct PullOptions {
  // Asked before anything large is fetched, with the bytes that are missing.
  std::function<Result<void>(const std::string& name, uint64_t bytes)> approve = {};
  // Says what is going on, on stderr, beside the progress of the layers.
  bool verbose = true;
  // Stores whose blobs may be linked to instead of being fetched.
  std::vector<LocalStore> others = {};
};

// Pulls what is missing; a model that is there is compared with the registry's manifest first.
Result<StoredModel> pull_from_registry(const HttpClient& client, const ModelName& name,
                                       const LocalStore& store, const PullOptions& options);

}  // namespace llmrun::store
