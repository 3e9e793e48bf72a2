#include "base/thread_pool.h"

#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#endif

namespace llmrun {
namespace {

// About 50 us of `pause` (20 to 60 ns each): longer than the gap between two ops of one model
// step, short enough that an idle program soon uses no CPU.
constexpr int kSpins = 1500;

void relax() {
#if defined(__x86_64__) || defined(__i386__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace

ThreadPool::ThreadPool(int n_threads) : n_threads_(n_threads < 1 ? 1 : n_threads) {
  workers_.reserve(static_cast<size_t>(n_threads_ - 1));
  for (int index = 1; index < n_threads_; ++index) {
    workers_.emplace_back([this, index] { worker(index); });
  }
}

ThreadPool::~ThreadPool() {
  stop_.store(true, std::memory_order_relaxed);
  generation_.fetch_add(1);
  generation_.notify_all();
  for (std::thread& thread : workers_) thread.join();
}

void ThreadPool::run_job(JobFunction function, void* context) {
  function_ = function;
  context_ = context;
  pending_.store(static_cast<uint32_t>(n_threads_ - 1), std::memory_order_relaxed);
  // Sequentially consistent with the sleepers' increment: either the caller sees the sleeper and
  // wakes it, or the sleeper sees the new generation and does not sleep.
  generation_.fetch_add(1);
  if (sleepers_.load() != 0) generation_.notify_all();

  function(context, 0, n_threads_);

  for (int spin = 0; spin < kSpins; ++spin) {
    if (pending_.load(std::memory_order_acquire) == 0) return;
    relax();
  }
  for (uint32_t left = pending_.load(std::memory_order_acquire); left != 0;
       left = pending_.load(std::memory_order_acquire)) {
    pending_.wait(left, std::memory_order_acquire);
  }
}

void ThreadPool::worker(int index) {
  uint32_t seen = 0;
  while (true) {
    for (int spin = 0; spin < kSpins && generation_.load(std::memory_order_acquire) == seen;
         ++spin) {
      relax();
    }
    if (generation_.load(std::memory_order_acquire) == seen) {
      sleepers_.fetch_add(1);
      while (generation_.load() == seen) generation_.wait(seen);
      sleepers_.fetch_sub(1, std::memory_order_relaxed);
    }
    ++seen;  // the caller starts the next job only after this one is done: none can be missed
    if (stop_.load(std::memory_order_relaxed)) return;
    function_(context_, index, n_threads_);
    if (pending_.fetch_sub(1, std::memory_order_acq_rel) == 1) pending_.notify_one();
  }
}

}  // namespace llmrun
