// The models of a batch, with what travels with each.
#pragma once

#include <string>

#include "batch/options.h"
#include "cli/model_argument.h"
#include "llmrun/error.h"

namespace llmrun::cli {

// The model of this name as `load` says it is to be loaded; its own adapters, template, parameters
// and messages with it.
Result<batch::FoundModel> find_batch_model(LoadFlags load, const std::string& name);

}  // namespace llmrun::cli
