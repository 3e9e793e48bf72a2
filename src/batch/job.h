// A batch from its input to its output:
//   prepare()   reads everything, makes the rows ready, reports what is wrong with them
//   estimate()  says what it would take, after a short calibration
//   run()       goes on where the journal ends, and puts the output in place
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "batch/group.h"
#include "batch/input.h"
#include "batch/options.h"
#include "batch/status.h"
#include "llmrun/error.h"

namespace llmrun::batch {

struct GroupTotals {
  std::string model;
  int64_t rows = 0;
  int64_t prompt_tokens = 0;  // with those of texts to embed
  int64_t shared_tokens = 0;  // of these, computed for another row
  int64_t most_answer_tokens = 0;
  int64_t context_tokens = 0;
};

struct GroupEstimate {
  GroupTotals totals;
  int64_t parallel = 0;  // rows at a time
  MemoryEstimate memory;
  double prompt_tokens_per_second = 0;
  double answer_tokens_per_second = 0;  // with `parallel` rows at a time
  double most_seconds = 0;              // if every answer is as long as it may be
};

struct Outcome {
  Status status;
  bool was_complete = false;  // the output of this very batch was there already
};

class Job {
 public:
  // kUsage with all bad rows and their numbers, unless options.keep_going.
  static Result<Job> prepare(Options options);

  [[nodiscard]] int64_t n_rows() const { return static_cast<int64_t>(input_.rows.size()); }
  [[nodiscard]] int64_t n_faults() const;
  [[nodiscard]] std::vector<GroupTotals> totals() const;
  [[nodiscard]] Result<std::vector<GroupEstimate>> estimate() const;
  // kInterrupted when `watch` said stop; the same command then goes on.
  Result<Outcome> run(const Watch& watch);

  // The journal of an output.
  static std::string journal_path(const std::string& output);

 private:
  Job(Options options, Input input, std::vector<Group> groups)
      : options_(std::move(options)), input_(std::move(input)), groups_(std::move(groups)) {}
  class Run;
  [[nodiscard]] bool writes_folder() const;
  [[nodiscard]] Result<bool> look_at_output(const std::string& job_hash) const;
  [[nodiscard]] Result<std::vector<std::string>> keys(const std::string& job_hash) const;

  Options options_;
  Input input_;
  std::vector<Group> groups_;
};

}  // namespace llmrun::batch
