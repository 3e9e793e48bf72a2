// What a folder recommends and says about itself: general.* keys.
#pragma once

#include <string>

#include "convert/config.h"
#include "gguf/writer.h"
#include "llmrun/error.h"

namespace llmrun::convert {

// general.sampling.* from generation_config.json.
Result<void> write_sampling(const Config& generation, gguf::Writer& writer);

// general.license from the front matter of README.md (the model card), when it names one.
void write_license(const std::string& folder, gguf::Writer& writer);

// "7B", "0.6B", "135M".
std::string size_label(uint64_t n_parameters);

}  // namespace llmrun::convert
