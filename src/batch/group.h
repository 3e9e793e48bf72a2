// The rows of one model, made ready to run: prompts as tokens, every request checked.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "batch/options.h"
#include "batch/plan.h"
#include "batch/row.h"
#include "llmrun/batch_session.h"
#include "llmrun/error.h"

namespace llmrun::batch {

struct Group {
  std::string model;  // as the user named it
  FoundModel found;
  std::vector<size_t> embeddings;      // rows that want vectors
  std::vector<BatchRequest> requests;  // the others; `id` is the row
  std::vector<int64_t> shared_tokens;  // beside requests: of the prompt, what earlier rows have too
  std::vector<int64_t> needed_tokens;  // beside requests: of the context, at most
  Plan plan;                           // of the requests
  int64_t context_tokens = 0;          // what the longest of them needs
  int64_t embedding_tokens = 0;        // of all texts
  int64_t longest_text = 0;            // of these
};

// Groups the rows by their models, in the order these first appear, and checks each row against its
// model. A row that cannot be run gets a fault; an error is about a model.
Result<std::vector<Group>> make_groups(const Options& options, std::span<Row> rows);

// The seed of a row that names none: a function of the batch's seed and the row's id alone.
Result<uint64_t> row_seed(uint64_t batch_seed, const std::string& custom_id);

}  // namespace llmrun::batch
