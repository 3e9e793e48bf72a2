// What a journal belongs to: everything that the output depends on, as one JSON object.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "batch/group.h"
#include "batch/options.h"
#include "llmrun/error.h"

namespace llmrun::batch {

Result<std::string> job_text(const Options& options, const Input& input,
                             std::span<const Group> groups);

// What two jobs differ in, in words ("the input, temperature (0 was 0.8)"); empty: in nothing.
std::string job_difference(std::string_view before, std::string_view now);

// A hash of the file's size, its beginning (metadata and directory) and samples of the rest:
// another model has another one, and a large file need not be read whole.
Result<std::string> model_fingerprint(const std::filesystem::path& path);

}  // namespace llmrun::batch
