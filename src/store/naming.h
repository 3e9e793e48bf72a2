// Giving names to models that are on this machine already, without copying them.
#pragma once

#include <string>

#include "llmrun/error.h"
#include "store/link_file.h"
#include "store/local_store.h"

namespace llmrun::store {

// A second name for a model. One that lies in another tool's store is linked into `store`. kUsage
// when `to` is another model already.
Result<void> copy_model(const LocalStore& store, const StoredModel& from, const ModelName& to);

struct ImportedModel {
  std::string sha256;
  uint64_t size = 0;
  bool was_there = false;  // the store had the same file
  LinkKind link = LinkKind::kReflink;
};

// Gives a GGUF file a name: it is hashed once and linked. kBadModel when it is not a GGUF file,
// kUnsupported for one part of a split model.
Result<ImportedModel> import_file(const LocalStore& store, const std::string& file,
                                  const ModelName& name);

}  // namespace llmrun::store
