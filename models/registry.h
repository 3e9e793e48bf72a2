// From a model file to its spec: finds the architecture that the file names.
#pragma once

#include <string_view>
#include <vector>

#include "gguf/reader.h"
#include "llmrun/error.h"
#include "llmrun/rope_override.h"
#include "runtime/spec.h"

namespace llmrun::models {

// kUnsupported for an architecture that is not registered, naming the nearest known ones;
// kBadModel for metadata that make no sense.
// kUsage for an override that this model cannot follow.
Result<runtime::ModelSpec> build_spec(const gguf::File& file, const RopeOverride& rope = {});

// Sorted names, as general.architecture has them.
std::vector<std::string_view> registered_architectures();

}  // namespace llmrun::models
