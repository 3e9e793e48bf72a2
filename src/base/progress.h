// How far a download or a load has come, on stderr: a bar that redraws itself on a terminal, a
// plain line now and then elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace llmrun {

struct ProgressState {
  std::string name;
  uint64_t done = 0;   // bytes
  uint64_t total = 0;  // bytes; 0: unknown
  double elapsed_seconds = 0.0;
  uint64_t resumed = 0;  // bytes that were there before the clock started; not part of the speed
};

// One line of at most `width` columns: name, percentage, bar, bytes, speed, time left.
std::string format_progress_bar(const ProgressState& state, int width);
// The same facts as a plain line.
std::string format_progress_line(const ProgressState& state);

class Progress {
 public:
  Progress(std::string name, uint64_t total, uint64_t resumed = 0);
  Progress(std::string name, uint64_t total, uint64_t resumed, int descriptor);
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  // Leaves the terminal on a fresh line.
  ~Progress();

  // Cheap: draws at most ten times a second, and without a terminal at each tenth of the way.
  void update(uint64_t done);
  void set_total(uint64_t total) { state_.total = total; }
  // Draws the last state; update() after it does nothing.
  void finish();

 private:
  using Clock = std::chrono::steady_clock;
  void draw();

  ProgressState state_;
  int descriptor_;
  bool terminal_;
  bool finished_ = false;
  bool dirty_line_ = false;  // the cursor stands behind a bar
  Clock::time_point start_;
  Clock::time_point last_draw_;
  int last_tenth_ = -1;
};

}  // namespace llmrun
