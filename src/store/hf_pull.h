// Models of the Hugging Face hub: what it offers under a name, and bringing it into the cache.
#pragma once

#include "llmrun/error.h"
#include "store/hf_name.h"
#include "store/local_store.h"
#include "store/source.h"

namespace llmrun::store {

Result<RemoteModel> locate_on_hub(const HfName& name, const SourceOptions& options);
// All files of the model arrive in the cache (hf_cache.h), resumed and verified by the SHA-256 that
// the hub tells; the model becomes visible when the last one is there.
Result<StoredModel> pull_from_hub(const HfName& name, const SourceOptions& options);

}  // namespace llmrun::store
