// Runs the requests of one model: keeps the session full, writes to the journal what is finished
// and what is begun.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "batch/group.h"
#include "batch/status.h"
#include "llmrun/batch_session.h"
#include "llmrun/error.h"

namespace llmrun::batch {

// Where a runner's results go.
class Sink {
 public:
  virtual ~Sink() = default;
  [[nodiscard]] virtual bool is_done(size_t row) const = 0;
  // Tokens of the row's answer from an earlier run.
  [[nodiscard]] virtual std::vector<TokenId> begun(size_t row) const = 0;
  virtual Result<void> finish(size_t row, const Result<Generation>& generation) = 0;
  virtual Result<void> keep_part(size_t row, size_t first, std::span<const TokenId> tokens) = 0;
  virtual Result<void> sync(bool now) = 0;
};

class TextRunner {
 public:
  // All must outlive the runner. `status` is kept up to date.
  TextRunner(const Group& group, BatchSession& session, int64_t parallel, Sink& sink,
             Status& status);

  // kInterrupted when `watch` said stop: by then everything is in the journal.
  Result<void> run(const Watch& watch);

 private:
  enum class Stage : uint8_t { kWaiting, kReading, kRead };
  struct Running {
    size_t place = 0;
    size_t n_kept = 0;   // tokens of the answer that the sink has
    size_t n_begun = 0;  // of these, from an earlier run
    size_t n_seen = 0;
  };

  void plan_rest();
  Result<void> start_more();
  Result<bool> start(size_t place);
  Result<void> finish_some();
  void look_at_running();
  Result<void> keep_parts();

  const Group& group_;
  BatchSession& session_;
  int64_t parallel_;
  Sink& sink_;
  Status& status_;
  std::vector<size_t> rest_;                           // indices of requests that are to be run
  Plan plan_;                                          // of these
  std::vector<Stage> stages_;                          // beside plan_.order
  std::deque<size_t> waiting_;                         // places, in order
  std::vector<std::pair<uint64_t, Running>> running_;  // by row
  std::chrono::steady_clock::time_point last_kept_;
};

}  // namespace llmrun::batch
