// How an embedding model makes one vector of many, from the files of sentence-transformers.
#pragma once

#include <string>

#include "convert/conversion.h"

namespace llmrun::convert {

// Sets pooling_type and normalize_embeddings when the folder has modules.json.
Result<void> read_pooling(const std::string& folder, Conversion& c);

}  // namespace llmrun::convert
