// What must hold of a spec for the ops to be defined, beyond what metadata limits ensure.
#pragma once

#include "llmrun/error.h"
#include "runtime/spec.h"

namespace llmrun::runtime {

// kBadModel, naming the layer and the values.
Result<void> check_spec(const ModelSpec& spec);

}  // namespace llmrun::runtime
