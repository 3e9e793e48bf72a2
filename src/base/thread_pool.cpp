#include "base/thread_pool.h"

#include <sys/resource.h>

#include <algorithm>

#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#endif

namespace llmrun {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int64_t kMaxTasks = int64_t{1} << 31;
// How long a thread without work stays awake: longer than the gap between two jobs of one model
// step, and about what waking up costs.
constexpr std::chrono::microseconds kSpin{100};
constexpr int kPausesPerLook = 32;  // at the clock

void relax() {
#if defined(__x86_64__) || defined(__i386__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Spins until done() or for a while; whether it is done.
template <typename Done>
bool spin_until(const Done& done) {
  for (int i = 0; i < kPausesPerLook; ++i) {
    if (done()) return true;
    relax();
  }
  const Clock::time_point end = Clock::now() + kSpin;
  do {
    for (int i = 0; i < kPausesPerLook; ++i) {
      if (done()) return true;
      relax();
    }
  } while (Clock::now() < end);
  return done();
}

// How often this thread was taken off its core against its will.
int64_t own_preemptions() {
#ifdef RUSAGE_THREAD
  rusage usage{};
  if (getrusage(RUSAGE_THREAD, &usage) == 0) return usage.ru_nivcsw;
#endif
  return 0;
}

constexpr uint32_t tasks_left(uint64_t ticket) { return static_cast<uint32_t>(ticket); }

}  // namespace

ThreadPool::ThreadPool(int n_threads)
    : n_threads_(n_threads < 1 ? 1 : n_threads),
      share_(n_threads_),
      shares_(static_cast<size_t>(n_threads_)),
      active_(n_threads_) {
  workers_.reserve(static_cast<size_t>(n_threads_ - 1));
  for (int index = 1; index < n_threads_; ++index) {
    workers_.emplace_back([this, index] { worker(index); });
  }
}

ThreadPool::~ThreadPool() {
  stop_.store(true);
  calls_.fetch_add(1);
  parked_calls_.fetch_add(1);
  calls_.notify_all();
  parked_calls_.notify_all();
  for (std::thread& thread : workers_) thread.join();
}

void ThreadPool::divide_tasks(int64_t n_tasks) {
  for (int64_t i = 0; i < n_threads_; ++i) {
    Share& share = shares_[static_cast<size_t>(i)];
    share.next.store(n_tasks * i / n_threads_, std::memory_order_relaxed);
    share.end = n_tasks * (i + 1) / n_threads_;
  }
}

// There are as many claims as tasks, and a share that is used up stays so: one always succeeds.
int64_t ThreadPool::claim(int thread_index) {
  for (int at = thread_index;; at = (at + 1) % n_threads_) {
    Share& share = shares_[static_cast<size_t>(at)];
    if (share.next.load(std::memory_order_relaxed) >= share.end) continue;
    const int64_t task = share.next.fetch_add(1, std::memory_order_relaxed);
    if (task < share.end) return task;
  }
}

void ThreadPool::run_job(int64_t n_tasks, JobFunction function, void* context) {
  if (!share_.is_whole()) {
    const int before = share_.active();
    share_.try_more(Clock::now());
    if (share_.active() != before) {
      active_.store(share_.active());
      parked_calls_.fetch_add(1);
      parked_calls_.notify_all();
    }
  }
  if (share_.active() == 1) {
    for (int64_t task = 0; task < n_tasks; ++task) function(context, task, 0);
    return;
  }
  ++shared_jobs_;
  for (int64_t first = 0; first < n_tasks; first += kMaxTasks) {
    share_job(
        {function, context, first, static_cast<uint32_t>(std::min(kMaxTasks, n_tasks - first))});
  }
}

void ThreadPool::share_job(const Job& job) {
  job_ = job;
  done_.store(0, std::memory_order_relaxed);
  const uint64_t number = (ticket_.load(std::memory_order_relaxed) >> 32) + 1;
  // Sequentially consistent with the sleepers' increment: either the caller sees the sleeper and
  // calls it, or the sleeper sees the tasks and does not sleep.
  ticket_.store(number << 32 | job.n_tasks);
  if (sleepers_.load() != 0) {
    calls_.fetch_add(1);
    calls_.notify_all();
  }
  int64_t unused = 0;
  work(0, &unused);
  wait_for_tasks(job.n_tasks);
}

void ThreadPool::wait_for_tasks(uint32_t n_tasks) {
  const auto all_done = [&] { return done_.load(std::memory_order_acquire) == n_tasks; };
  if (spin_until(all_done)) return;
  const Clock::time_point start = Clock::now() - kSpin;
  caller_sleeps_.store(true);
  for (uint32_t done = done_.load(); done != n_tasks; done = done_.load()) done_.wait(done);
  caller_sleeps_.store(false, std::memory_order_relaxed);
  const Clock::time_point now = Clock::now();
  share_.report_wait(now, now - start, preemptions_.exchange(0, std::memory_order_relaxed));
  active_.store(share_.active(), std::memory_order_relaxed);
}

// Takes one of the present job's tasks: `left` counts down from the number of tasks.
bool ThreadPool::take_task(uint32_t* left) {
  uint64_t ticket = ticket_.load(std::memory_order_acquire);
  while (tasks_left(ticket) != 0) {
    if (ticket_.compare_exchange_weak(ticket, ticket - 1, std::memory_order_acq_rel,
                                      std::memory_order_acquire)) {
      *left = tasks_left(ticket);
      return true;
    }
  }
  return false;
}

// Works on the present job until none of its tasks is left.
void ThreadPool::work(int thread_index, int64_t* preemptions_seen) {
  uint32_t left = 0;
  uint32_t n_done = 0;
  uint32_t n_tasks = 0;
  while (take_task(&left)) {
    // Holding a task, this thread keeps the job alive until it says that the task is done.
    n_tasks = job_.n_tasks;
    job_.function(job_.context, job_.first_task + (n_tasks - left), thread_index);
    ++n_done;
  }
  if (n_done == 0) return;
  if (caller_sleeps_.load(std::memory_order_relaxed)) count_preemptions(preemptions_seen);
  const uint32_t before = done_.fetch_add(n_done);
  if (before + n_done == n_tasks && caller_sleeps_.load()) done_.notify_one();
}

void ThreadPool::worker(int index) {
  int64_t preemptions_seen = 0;
  while (!stop_.load(std::memory_order_relaxed)) {
    if (index < active_.load(std::memory_order_relaxed) && spin_for_task()) {
      work(index, &preemptions_seen);
      continue;
    }
    sleep_until_called(index);
  }
}

bool ThreadPool::spin_for_task() const {
  return spin_until([this] {
    return tasks_left(ticket_.load(std::memory_order_acquire)) != 0 ||
           stop_.load(std::memory_order_relaxed);
  });
}

void ThreadPool::sleep_until_called(int index) {
  const uint32_t parked_calls = parked_calls_.load();
  if (index >= active_.load()) {
    if (!stop_.load()) parked_calls_.wait(parked_calls);
    return;
  }
  const uint32_t calls = calls_.load();
  sleepers_.fetch_add(1);
  if (tasks_left(ticket_.load()) == 0 && !stop_.load()) calls_.wait(calls);
  sleepers_.fetch_sub(1, std::memory_order_relaxed);
}

void ThreadPool::count_preemptions(int64_t* seen) {
  const int64_t now = own_preemptions();
  preemptions_.fetch_add(now - *seen, std::memory_order_relaxed);
  *seen = now;
}

}  // namespace llmrun
