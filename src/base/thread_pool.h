// A fixed set of threads for fork/join loops that last microseconds: workers spin for a short
// while after a job, then sleep. The calling thread takes part, and starting a job allocates
// nothing.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <type_traits>
#include <vector>

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

  // Calls fn(thread_index, n_threads) once on every thread and returns when all are done.
  template <typename Fn>
  void run(Fn&& fn) {
    if (n_threads_ == 1) {
      fn(0, 1);
      return;
    }
    run_job([](void* context, int index,
               int n) { (*static_cast<std::remove_reference_t<Fn>*>(context))(index, n); },
            const_cast<void*>(static_cast<const void*>(&fn)));
  }

  // Calls fn(task) for each task of [0, n_tasks); a thread takes the next one when it is free.
  template <typename Fn>
  void parallel_for(int64_t n_tasks, Fn&& fn) {
    parallel_for_indexed(n_tasks, [&fn](int64_t task, int) { fn(task); });
  }

  // The same with fn(task, thread_index), for tasks that use memory of their thread.
  template <typename Fn>
  void parallel_for_indexed(int64_t n_tasks, Fn&& fn) {
    if (n_threads_ == 1 || n_tasks <= 1) {
      for (int64_t task = 0; task < n_tasks; ++task) fn(task, 0);
      return;
    }
    std::atomic<int64_t> next{0};
    run([&](int thread_index, int) {
      for (int64_t task = next.fetch_add(1, std::memory_order_relaxed); task < n_tasks;
           task = next.fetch_add(1, std::memory_order_relaxed)) {
        fn(task, thread_index);
      }
    });
  }

 private:
  using JobFunction = void (*)(void* context, int thread_index, int n_threads);
  void run_job(JobFunction function, void* context);
  void worker(int index);

  const int n_threads_;
  JobFunction function_ = nullptr;
  void* context_ = nullptr;
  std::vector<std::thread> workers_;
  // Each on a cache line of its own: the first is written by the caller, the second by workers.
  alignas(64) std::atomic<uint32_t> generation_{0};  // counts jobs; the workers wait on it
  std::atomic<bool> stop_{false};
  alignas(64) std::atomic<uint32_t> pending_{0};  // workers still busy; the caller waits on it
  std::atomic<uint32_t> sleepers_{0};             // workers asleep, or about to be
};

}  // namespace llmrun
