// How far a batch has come.
#pragma once

#include <cstdint>
#include <functional>

namespace llmrun::batch {

struct Status {
  int64_t rows = 0;
  int64_t rows_done = 0;    // with those of earlier runs and those that failed
  int64_t rows_before = 0;  // of these, from earlier runs of the same command
  int64_t rows_failed = 0;  // became error lines
  int64_t rows_running = 0;
  int64_t prompt_tokens = 0;  // of the rows finished in this run …
  int64_t cached_tokens = 0;  // … of which were found in the cache
  int64_t answer_tokens = 0;  // drawn in this run
  int64_t steps = 0;          // passes of the model
  double seconds = 0;         // of this run
};

// Called after every pass; false stops the batch, which can then be gone on with.
using Watch = std::function<bool(const Status&)>;

}  // namespace llmrun::batch
