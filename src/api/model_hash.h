// Which model a file holds, told by a hash.
#pragma once

#include <string>

#include "api/model_impl.h"
#include "gguf/reader.h"

namespace llmrun {

// "sampled-sha256:<hex>": the SHA-256 of the whole directory (metadata, and names, types, shapes
// and places of all tensors), the size of the file, and 256 bytes of the middle of every tensor. It
// takes milliseconds where hashing the whole file takes minutes. Files that differ in other bytes
// only, which no converter makes, are not told apart.
Result<std::string> model_hash(const gguf::File& file);
// With adapters the hashes of their files and their scales follow: "…+<hex>*0.5".
Result<std::string> model_hash(const ModelImpl& model);

}  // namespace llmrun
