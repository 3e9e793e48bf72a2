// Before a model is downloaded: how large it is, whether this machine can run it, and a question.
#pragma once

#include <filesystem>
#include <string>

#include "llmrun/error.h"
#include "llmrun/model.h"

namespace llmrun::cli {

// The file of a model; one that is not on this machine is downloaded after a person agreed, or
// without asking when `yes`. kUsage where nobody can be asked. The memory plan is made for
// `context`.
Result<std::filesystem::path> find_or_download(const std::string& name, bool yes,
                                               const ContextOptions& context);

}  // namespace llmrun::cli
