// One lock, and a number by which a thread knows a job that it has not done yet.
#include "base/lockstep_threads.h"

namespace llmrun {

LockstepThreads::LockstepThreads(size_t n) {
  for (size_t part = 1; part < n; ++part) workers_.emplace_back([this, part] { work(part); });
}

LockstepThreads::~LockstepThreads() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  called_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void LockstepThreads::run(const Part& fn) {
  {
    const std::lock_guard lock(mutex_);
    job_ = &fn;
    n_running_ = workers_.size();
    ++n_jobs_;
  }
  called_.notify_all();
  fn(0);
  std::unique_lock lock(mutex_);
  done_.wait(lock, [this] { return n_running_ == 0; });
}

void LockstepThreads::work(size_t part) {
  uint64_t n_done = 0;
  std::unique_lock lock(mutex_);
  while (true) {
    called_.wait(lock, [&] { return stop_ || n_jobs_ > n_done; });
    if (stop_) return;
    n_done = n_jobs_;
    const Part& fn = *job_;
    lock.unlock();
    fn(part);
    lock.lock();
    if (--n_running_ == 0) done_.notify_one();
  }
}

}  // namespace llmrun
