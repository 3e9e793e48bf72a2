// How many threads of a pool should take part when other programs want the same cores.
//
// A thread that the system takes off its core in the middle of a task holds up everybody who waits
// for that task, so on a crowded machine more threads are slower than fewer. The share falls when
// the pool loses much time in such waits, and a while later tries again whether the crowd is gone.
#pragma once

#include <chrono>
#include <cstdint>

namespace llmrun {

class ThreadShare {
 public:
  using Time = std::chrono::steady_clock::time_point;
  using Duration = std::chrono::steady_clock::duration;

  explicit ThreadShare(int n_threads) : n_threads_(n_threads), active_(n_threads) {}

  [[nodiscard]] int active() const { return active_; }
  [[nodiscard]] bool is_whole() const { return active_ == n_threads_; }

  // The caller had nothing left to do and waited until `now` for the others, who were taken off
  // their cores `preemptions` times since the last report. Waits without preemptions mean uneven
  // tasks, not a crowd.
  void report_wait(Time now, Duration waited, int64_t preemptions);
  // Takes one thread more when it is time to try.
  void try_more(Time now);

 private:
  const int n_threads_;
  int active_;
  Time window_start_{};
  Duration lost_{};
  int64_t preemptions_ = 0;
  Time last_change_{};
  Duration retry_after_{};
};

}  // namespace llmrun
