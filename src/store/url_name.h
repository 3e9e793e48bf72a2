// GGUF files at plain addresses: https://host/…/file.gguf.
#pragma once

#include <string>

#include "llmrun/error.h"
#include "store/model_name.h"

namespace llmrun::store {

// An http or https address of a file whose name ends in .gguf, and no page of the Hugging Face hub.
bool is_gguf_url(const std::string& text);

// The name it has in llmrun's store: <host>/url/<file>:<12 digits of the address's SHA-256>. So
// each address has one name, and a name says where its file came from.
Result<ModelName> name_of_url(const std::string& url);

}  // namespace llmrun::store
