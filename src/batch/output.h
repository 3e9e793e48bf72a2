// Puts the finished lines of a journal where the user wants them, whole or not at all.
#pragma once

#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "batch/journal.h"
#include "batch/row.h"
#include "llmrun/error.h"

namespace llmrun::batch {

using DoneLines = std::unordered_map<uint64_t, JournalSpan>;  // by row

// The lines in this order, as one file.
Result<void> publish_lines(const std::string& path, const Journal& journal, const DoneLines& done,
                           std::span<const uint64_t> order);
// One file of text per row in the folder `path`, named as the input was; NAME.error.json for rows
// that failed.
Result<void> publish_folder(const std::string& path, const Journal& journal, const DoneLines& done,
                            std::span<const Row> rows);

// Whether the file holds a line for each of these keys (of line_key()) in any order and nothing
// else: then it is the output of the very same batch.
bool is_complete_output(const std::string& path, std::span<const std::string> keys);

}  // namespace llmrun::batch
