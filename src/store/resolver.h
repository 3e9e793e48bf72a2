// From what a person typed after `llmrun run` to a model, through the table of sources (source.h).
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "llmrun/error.h"
#include "store/local_store.h"
#include "store/source.h"

namespace llmrun::store {

// What is on this machine is taken where it lies and without asking the network. kNotFound says
// where was looked and lists the names that look alike.
Result<StoredModel> find_or_fetch(const std::string& name, const SourceOptions& options);
// The same, and what is here becomes what its server has now: only what differs is fetched. A model
// that no server offers stays as it is.
Result<StoredModel> pull_model(const std::string& name, const SourceOptions& options);
// What a server offers under that name, also when the model is on this machine already.
Result<RemoteModel> locate_model(const std::string& name, const SourceOptions& options);
// On this machine; reads only. Nothing when it is not here.
std::optional<StoredModel> find_model_here(const std::string& name);

// The models on this machine: of llmrun's store, then of the other stores that are there.
std::vector<StoredModel> list_models();

}  // namespace llmrun::store
