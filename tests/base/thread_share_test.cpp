// How the share of threads that take part follows what the pool loses.
#include "base/thread_share.h"

#include <gtest/gtest.h>

namespace llmrun {
namespace {

using std::chrono::milliseconds;

ThreadShare::Time at(int64_t ms) {
  return ThreadShare::Time(std::chrono::seconds(100)) + milliseconds(ms);
}

// Waits of 3 ms, one after each 5 ms, from `from` to `to`.
void crowd(ThreadShare& share, int64_t from, int64_t to, int64_t preemptions = 1) {
  for (int64_t ms = from; ms < to; ms += 5) share.report_wait(at(ms), milliseconds(3), preemptions);
}

TEST(ThreadShare, FallsWhenPreemptionsCostTime) {
  ThreadShare share(2);
  EXPECT_TRUE(share.is_whole());
  crowd(share, 0, 15);
  EXPECT_EQ(share.active(), 1);
  crowd(share, 15, 200);
  EXPECT_EQ(share.active(), 1);  // never below the caller
}

TEST(ThreadShare, UnevenTasksAreNoCrowd) {
  ThreadShare share(2);
  crowd(share, 0, 500, 0);
  EXPECT_TRUE(share.is_whole());
}

TEST(ThreadShare, RareWaitsAreTolerated) {
  ThreadShare share(2);
  for (int64_t ms = 0; ms < 3000; ms += 30) share.report_wait(at(ms), milliseconds(3), 1);
  EXPECT_TRUE(share.is_whole());
}

TEST(ThreadShare, TriesAgainAndLaterEachTime) {
  ThreadShare share(2);
  crowd(share, 0, 15);
  int64_t now = 15;
  int64_t last_pause = 0;
  for (int i = 0; i < 4; ++i) {
    int64_t pause = 0;
    while (share.active() == 1) {
      share.try_more(at(now + pause));
      ++pause;
    }
    EXPECT_GT(pause, last_pause);
    last_pause = pause;
    now += pause;
    crowd(share, now, now + 15);
    ASSERT_EQ(share.active(), 1);
    now += 15;
  }
  // Once the crowd is gone the next try lasts, and the crowd after it is met with a short pause.
  while (!share.is_whole()) share.try_more(at(++now));
  now += 5000;
  crowd(share, now, now + 15);
  ASSERT_EQ(share.active(), 1);
  now += 15;
  share.try_more(at(now + 100));
  EXPECT_TRUE(share.is_whole());
}

TEST(ThreadShare, GivesUpOneThreadAtATime) {
  ThreadShare share(8);
  crowd(share, 0, 15);
  EXPECT_EQ(share.active(), 7);
  crowd(share, 15, 60);
  EXPECT_LT(share.active(), 7);
  EXPECT_GE(share.active(), 1);
}

}  // namespace
}  // namespace llmrun
