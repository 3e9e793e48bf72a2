// How far a batch has come, on stderr: a line that redraws itself on a terminal, a line every ten
// seconds elsewhere.
#pragma once

#include <chrono>
#include <cstdio>
#include <string>

#include "batch/status.h"

namespace llmrun::cli {

// "12/64 rows  18 %  4,096 tokens  131.0 tok/s  2 min 05 s left"; at most `width` columns when it
// is not 0.
std::string batch_progress_text(const batch::Status& status, int width = 0);
// "[####------] " before that, when there is room.
std::string batch_progress_bar(const batch::Status& status, int width);

class BatchProgress {
 public:
  using Clock = std::chrono::steady_clock;
  BatchProgress();
  // Lines for a log, at least `every` apart.
  BatchProgress(std::FILE* log, Clock::duration every);
  BatchProgress(const BatchProgress&) = delete;
  BatchProgress& operator=(const BatchProgress&) = delete;
  // Leaves the terminal on a fresh line.
  ~BatchProgress();

  void update(const batch::Status& status);

 private:
  std::FILE* out_;
  bool terminal_;
  Clock::duration every_;
  bool dirty_line_ = false;
  Clock::time_point last_draw_;
};

}  // namespace llmrun::cli
