// What a batch shows of itself: the words, the bar, and how often a log gets a line.
#include "cli/batch_progress.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <memory>
#include <thread>

namespace llmrun::cli {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

batch::Status status(int64_t done) {
  batch::Status status;
  status.rows = 64;
  status.rows_done = done;
  status.rows_before = 4;
  status.rows_running = 8;
  status.answer_tokens = 1000;
  status.seconds = 10;
  return status;
}

TEST(BatchProgress, TellsRowsTokensSpeedAndTimeLeft) {
  EXPECT_THAT(batch_progress_text(status(16)),
              StartsWith("16/64 rows  25 %  1000 tokens  100.0 tok/s"));
  // 12 rows and half of 8 in 10 s; 48 are left, half of 8 done: 44 / 1.6.
  EXPECT_THAT(batch_progress_text(status(16)), HasSubstr("27"));
  EXPECT_THAT(batch_progress_text(status(16)), HasSubstr("left"));
  EXPECT_THAT(batch_progress_text(status(4)), testing::Not(HasSubstr("left")));  // nothing to go by
  EXPECT_THAT(batch_progress_text(status(64)), testing::Not(HasSubstr("left")));
  EXPECT_LT(batch_progress_text(status(16), 20).size(), 20U);
}

TEST(BatchProgress, TheBarFillsTheRoomThereIs) {
  for (int width = 1; width < 150; ++width) {
    EXPECT_LT(batch_progress_bar(status(16), width).size(),
              static_cast<size_t>(std::max(2, width)));
  }
  EXPECT_THAT(batch_progress_bar(status(16), 120), StartsWith("[##########------"));
  EXPECT_THAT(batch_progress_bar(status(64), 120),
              StartsWith("[########################################]"));
}

TEST(BatchProgress, ALogGetsALineEverySoOften) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> log(std::tmpfile(), std::fclose);
  ASSERT_NE(log, nullptr);
  using Clock = BatchProgress::Clock;
  const auto every = std::chrono::milliseconds(40);
  const auto start = Clock::now();
  {
    BatchProgress progress(log.get(), every);
    while (Clock::now() - start < std::chrono::milliseconds(250)) {
      progress.update(status(16));
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    progress.update(status(64));
  }
  const auto most = (Clock::now() - start) / every;
  std::rewind(log.get());
  std::string text(10'000, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), log.get()));
  const auto n_lines = std::count(text.begin(), text.end(), '\n');
  EXPECT_GE(n_lines, 1);
  EXPECT_LE(n_lines, most);
  EXPECT_THAT(text, StartsWith(batch_progress_text(status(16)) + "\n"));
  EXPECT_THAT(text, testing::Not(HasSubstr("\r")));
}

}  // namespace
}  // namespace llmrun::cli
