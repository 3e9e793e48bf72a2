// A fixed set of threads for fork/join loops that last microseconds. A job is a number of tasks
// that free threads take one by one; it is over when its tasks are done, so a thread that comes
// late (asleep, or off its core) holds up nobody. Threads without work spin for a moment, then
// sleep. The calling thread takes part, and starting a job allocates nothing.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <type_traits>
#include <vector>

#include "base/thread_share.h"

namespace llmrun {

// One job at a time: run() and parallel_for() may be called from one thread at once only, and not
// from inside a job. Jobs must not throw.
class ThreadPool {
 public:
  // n_threads counts the caller: 1 runs everything inline and starts no thread.
  explicit ThreadPool(int n_threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  [[nodiscard]] int n_threads() const { return n_threads_; }
  // Jobs that were shared with other threads so far: each is one barrier.
  [[nodiscard]] uint64_t shared_jobs() const { return shared_jobs_; }

  // Calls fn(part, n_threads) for each part of [0, n_threads) and returns when all are done. Every
  // thread takes one, unless one is still asleep while another has time for a second.
  template <typename Fn>
  void run(Fn&& fn) {
    const int n = n_threads_;
    parallel_for(n, [&fn, n](int64_t part) { fn(static_cast<int>(part), n); });
  }

  // Calls fn(task) for each task of [0, n_tasks); a thread takes the next one when it is free.
  template <typename Fn>
  void parallel_for(int64_t n_tasks, Fn&& fn) {
    parallel_for_indexed(n_tasks, [&fn](int64_t task, int) { fn(task); });
  }

  // The same with fn(task, thread_index), for tasks that use memory of their thread.
  template <typename Fn>
  void parallel_for_indexed(int64_t n_tasks, Fn&& fn) {
    if (n_tasks > 1 && n_threads_ > 1) {
      run_job(
          n_tasks,
          [](void* context, int64_t task, int thread_index) {
            (*static_cast<std::remove_reference_t<Fn>*>(context))(task, thread_index);
          },
          const_cast<void*>(static_cast<const void*>(&fn)));
      return;
    }
    for (int64_t task = 0; task < n_tasks; ++task) fn(task, 0);
  }

  // The same, but every thread goes through neighbouring tasks, and takes those of other threads
  // only when its own are used up: for tasks that fetch ahead what the next one will read.
  template <typename Fn>
  void parallel_for_neighbours(int64_t n_tasks, Fn&& fn) {
    divide_tasks(n_tasks);
    parallel_for_indexed(
        n_tasks, [this, &fn](int64_t, int thread_index) { fn(claim(thread_index), thread_index); });
  }

 private:
  using JobFunction = void (*)(void* context, int64_t task, int thread_index);
  struct Job {
    JobFunction function = nullptr;
    void* context = nullptr;
    int64_t first_task = 0;  // jobs of more than kMaxTasks tasks run as several
    uint32_t n_tasks = 0;
  };

  // The tasks that one thread takes first.
  struct alignas(64) Share {
    std::atomic<int64_t> next{0};
    int64_t end = 0;
  };

  void divide_tasks(int64_t n_tasks);
  int64_t claim(int thread_index);
  void run_job(int64_t n_tasks, JobFunction function, void* context);
  void share_job(const Job& job);
  void wait_for_tasks(uint32_t n_tasks);
  bool take_task(uint32_t* left);
  void work(int thread_index, int64_t* preemptions_seen);
  void worker(int index);
  bool spin_for_task() const;
  void sleep_until_called(int index);
  void count_preemptions(int64_t* seen);

  const int n_threads_;
  ThreadShare share_;  // used by the caller only
  uint64_t shared_jobs_ = 0;
  std::vector<Share> shares_;  // of the threads, for parallel_for_neighbours()
  std::vector<std::thread> workers_;
  // Read only by threads that hold a task of it, or by the caller.
  Job job_;
  // Each on a cache line of its own. The number of the job in the upper half, its tasks that
  // nobody has taken yet in the lower: so that a thread that comes late cannot take a task of
  // another job for one of its own.
  alignas(64) std::atomic<uint64_t> ticket_{0};
  alignas(64) std::atomic<uint32_t> done_{0};  // tasks of this job that are done
  std::atomic<bool> caller_sleeps_{false};
  std::atomic<int64_t> preemptions_{0};         // of workers, seen at slow moments only
  alignas(64) std::atomic<uint32_t> calls_{0};  // changes when sleepers are to look for work
  std::atomic<uint32_t> parked_calls_{0};       // the same, for workers beyond active_
  std::atomic<uint32_t> sleepers_{0};           // among the active ones
  std::atomic<int> active_;                     // threads that take part
  std::atomic<bool> stop_{false};
};

}  // namespace llmrun
