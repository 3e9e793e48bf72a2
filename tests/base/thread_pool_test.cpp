// The thread pool: every task once, whoever runs it, and no processor time when idle.
#include "base/thread_pool.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <chrono>
#include <numeric>

namespace llmrun {
namespace {

using std::chrono::milliseconds;

TEST(ThreadPool, RunsEveryTaskOnce) {
  for (const int threads : {1, 2, 3, 8}) {
    ThreadPool pool(threads);
    for (const int64_t n_tasks : {0, 1, 2, 3, 64, 1000}) {
      std::vector<std::atomic<int>> runs(static_cast<size_t>(n_tasks));
      for (int round = 0; round < 20; ++round) {
        pool.parallel_for_indexed(n_tasks, [&](int64_t task, int thread) {
          ASSERT_GE(thread, 0);
          ASSERT_LT(thread, threads);
          runs[static_cast<size_t>(task)].fetch_add(1, std::memory_order_relaxed);
        });
      }
      for (const auto& each : runs) ASSERT_EQ(each.load(), 20);
    }
  }
}

// Plain memory written by tasks is seen by the caller, and by the tasks of the next job.
TEST(ThreadPool, JobsFollowOneAnother) {
  ThreadPool pool(4);
  std::vector<int64_t> values(37, 0);
  constexpr int kJobs = 20000;
  for (int job = 0; job < kJobs; ++job) {
    pool.parallel_for(static_cast<int64_t>(values.size()),
                      [&](int64_t task) { values[static_cast<size_t>(task)] += job; });
  }
  const int64_t expected = int64_t{kJobs} * (kJobs - 1) / 2;
  for (const int64_t value : values) ASSERT_EQ(value, expected);
}

TEST(ThreadPool, RunCallsEachPart) {
  ThreadPool pool(5);
  std::vector<std::atomic<int>> runs(5);
  pool.run([&](int part, int n) {
    EXPECT_EQ(n, 5);
    runs[static_cast<size_t>(part)].fetch_add(1);
  });
  for (const auto& each : runs) EXPECT_EQ(each.load(), 1);
}

TEST(ThreadPool, NeighboursAreAllRunOnce) {
  for (const int threads : {1, 2, 3, 8}) {
    ThreadPool pool(threads);
    for (const int64_t n_tasks : {0, 1, 2, 5, 64, 1000}) {
      std::vector<std::atomic<int>> runs(static_cast<size_t>(n_tasks));
      for (int round = 0; round < 20; ++round) {
        pool.parallel_for_neighbours(n_tasks, [&](int64_t task, int) {
          ASSERT_LT(task, n_tasks);
          runs[static_cast<size_t>(task)].fetch_add(1, std::memory_order_relaxed);
        });
      }
      for (const auto& each : runs) ASSERT_EQ(each.load(), 20);
    }
  }
}

// One thread cannot end a job alone here: each waits in its first task for the other.
TEST(ThreadPool, NeighboursGoToOneThreadAsLongAsItHasSome) {
  ThreadPool pool(2);
  std::atomic<int> n_started{0};
  std::vector<int> thread_of(10);
  pool.parallel_for_neighbours(10, [&](int64_t task, int thread) {
    thread_of[static_cast<size_t>(task)] = thread;
    n_started.fetch_add(1);
    while (n_started.load() < 2) std::this_thread::yield();
  });
  EXPECT_EQ(thread_of.front(), 0);
  EXPECT_EQ(thread_of[5], 1);
}

// Memory of a thread is used by one task at a time.
TEST(ThreadPool, ThreadIndicesAreExclusive) {
  ThreadPool pool(6);
  std::vector<std::atomic<int>> inside(6);
  for (int round = 0; round < 200; ++round) {
    pool.parallel_for_indexed(50, [&](int64_t, int thread) {
      auto& mine = inside[static_cast<size_t>(thread)];
      EXPECT_EQ(mine.fetch_add(1), 0);
      for (int i = 0; i < 100; ++i) std::atomic_signal_fence(std::memory_order_seq_cst);
      mine.fetch_sub(1);
    });
  }
}

// Sleeping workers are woken for the next job, and those that slept too long do no harm.
TEST(ThreadPool, WakesUpAfterAPause) {
  ThreadPool pool(3);
  std::atomic<int64_t> sum{0};
  for (int round = 0; round < 30; ++round) {
    std::this_thread::sleep_for(milliseconds(1));
    for (int job = 0; job < 3; ++job) {
      pool.parallel_for(100, [&](int64_t task) { sum.fetch_add(task); });
    }
  }
  EXPECT_EQ(sum.load(), 30 * 3 * 4950);
}

milliseconds cpu_time() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto of = [](const timeval& t) { return milliseconds(t.tv_sec * 1000 + t.tv_usec / 1000); };
  return of(usage.ru_utime) + of(usage.ru_stime);
}

TEST(ThreadPool, SleepsWhenIdle) {
  ThreadPool pool(4);
  pool.parallel_for(100, [](int64_t) {});
  std::this_thread::sleep_for(milliseconds(20));
  const milliseconds before = cpu_time();
  std::this_thread::sleep_for(milliseconds(300));
  EXPECT_LT((cpu_time() - before).count(), 60);  // four spinning threads would take 300 and more
}

// Many more threads than cores, twice at a time: what a crowded machine does to a pool.
TEST(ThreadPool, ManyThreadsOnFewCores) {
  const auto hammer = [](int64_t* result) {
    ThreadPool pool(12);
    std::vector<int64_t> values(24, 0);
    for (int job = 0; job < 2000; ++job) {
      pool.parallel_for(24, [&](int64_t task) { ++values[static_cast<size_t>(task)]; });
    }
    *result = std::accumulate(values.begin(), values.end(), int64_t{0});
  };
  int64_t one = 0;
  int64_t two = 0;
  std::thread other(hammer, &two);
  hammer(&one);
  other.join();
  EXPECT_EQ(one, 2000 * 24);
  EXPECT_EQ(two, 2000 * 24);
}

}  // namespace
}  // namespace llmrun
