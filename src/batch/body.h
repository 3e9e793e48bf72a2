// The body of a request: which fields each endpoint takes, and what they mean. A field that is not
// known, or a value that is not supported, is an error that names it, never ignored.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "batch/row.h"
#include "llmrun/error.h"

namespace llmrun::batch {

// Fills `row`, whose endpoint is set. `body` must be an object.
Result<void> read_body(const nlohmann::ordered_json& body, Row& row);

}  // namespace llmrun::batch
