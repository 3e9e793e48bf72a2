// Checks that what is in a store is what its names say, and mends what is not.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "llmrun/error.h"
#include "store/http_client.h"
#include "store/local_store.h"

namespace llmrun::store {

enum class BlobState : uint8_t { kGood, kMissing, kDamaged, kMended };

struct VerifiedBlob {
  LayerKind kind = LayerKind::kModel;
  std::string sha256;
  uint64_t size = 0;
  BlobState state = BlobState::kGood;
  uint64_t bad_bytes = 0;  // known to be bad, or all when nothing says which are
  std::string problem;     // why it could not be mended
};

struct VerifyOptions {
  bool mend = true;
  // Digests that were found good in this store, which are not read again: models share blobs. What
  // is good now is added.
  std::set<std::string>* good = nullptr;
  std::function<bool()> cancelled = {};
};

// Every blob of the model is read and hashed. Damaged ones are fetched again from where the model
// came from: the bad blocks alone when their checks are there (block_checks.h). A blob that is a
// link into another place is replaced; that place is not touched.
Result<std::vector<VerifiedBlob>> verify_model(const HttpClient& client, const LocalStore& store,
                                               const LocalStore::Named& model,
                                               const VerifyOptions& options);

}  // namespace llmrun::store
