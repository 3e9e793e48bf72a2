// A fixed set of threads that all take part in every job, one part each: for parts that wait for
// each other, which a pool whose threads take what is left cannot run. The caller does the first.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace llmrun {

class LockstepThreads {
 public:
  using Part = std::function<void(size_t part)>;

  // n counts the caller.
  explicit LockstepThreads(size_t n);
  ~LockstepThreads();
  LockstepThreads(const LockstepThreads&) = delete;
  LockstepThreads& operator=(const LockstepThreads&) = delete;

  // Calls fn(part) for each part of [0, n), all at the same time, and returns when all are done. It
  // must not throw.
  void run(const Part& fn);

 private:
  void work(size_t part);

  std::mutex mutex_;
  std::condition_variable called_, done_;
  const Part* job_ = nullptr;
  uint64_t n_jobs_ = 0;  // so far
  size_t n_running_ = 0;
  bool stop_ = false;
  std::vector<std::thread> workers_;
};

}  // namespace llmrun
