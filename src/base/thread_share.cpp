#include "base/thread_share.h"

#include <algorithm>

namespace llmrun {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kWindow{20};
constexpr milliseconds kTolerated{4};  // lost time within one window
constexpr int64_t kFewPreemptions = 2;
// A failed try costs about a window, so tries become rarer while they fail.
constexpr milliseconds kFirstRetry{50};
constexpr milliseconds kLastRetry{1600};

}  // namespace

void ThreadShare::report_wait(Time now, Duration waited, int64_t preemptions) {
  if (now - window_start_ > kWindow) {
    window_start_ = now - waited;
    lost_ = Duration::zero();
    preemptions_ = 0;
  }
  lost_ += waited;
  preemptions_ += preemptions;
  if (lost_ < kTolerated || preemptions_ < kFewPreemptions || active_ == 1) return;
  const bool failed_try = now - last_change_ < 4 * kWindow;
  retry_after_ =
      failed_try ? std::min<Duration>(2 * retry_after_, kLastRetry) : Duration(kFirstRetry);
  retry_after_ = std::max<Duration>(retry_after_, kFirstRetry);
  --active_;
  last_change_ = now;
  window_start_ = Time{};
}

void ThreadShare::try_more(Time now) {
  if (is_whole() || now - last_change_ < retry_after_) return;
  ++active_;
  last_change_ = now;
  window_start_ = Time{};
}

}  // namespace llmrun
