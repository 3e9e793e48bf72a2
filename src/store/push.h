// Sends a model of the local store to a registry.
#pragma once

#include "llmrun/error.h"
#include "store/http_client.h"
#include "store/local_store.h"
#include "store/model_name.h"

namespace llmrun::store {

// Blobs first, the manifest, byte for byte, last: others see the model whole or not at all. Shows
// progress on stderr.
Result<void> push_model(const HttpClient& client, const ModelName& name, const LocalStore& store);

}  // namespace llmrun::store
