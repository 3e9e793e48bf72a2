// The words and widths of the progress display.
#include "base/progress.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>

#include "base/file_io.h"
#include "base/temporary_folder.h"
#include "base/terminal.h"
#include "base/utf8.h"

namespace llmrun {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

ProgressState half_way() {
  return {.name = "model.gguf", .done = 50'000'000, .total = 100'000'000, .elapsed_seconds = 5.0};
}

TEST(Progress, TellsHowFarItIs) {
  const std::string line = format_progress_bar(half_way(), 100);
  EXPECT_THAT(line, HasSubstr("model.gguf  50% [####"));
  EXPECT_THAT(line, HasSubstr("50.0 MB / 100.0 MB  10.0 MB/s  5.0 s left"));
  EXPECT_EQ(format_progress_line(half_way()),
            "model.gguf: 50% (50.0 MB / 100.0 MB)  10.0 MB/s  5.0 s left");
}

TEST(Progress, NeverWrapsTheLine) {
  ProgressState state = half_way();
  state.name = "a-très-long-näme-of-a-model-Q4_K_M.gguf";
  for (int width = 1; width < 200; ++width) {
    for (const uint64_t total : {uint64_t{0}, uint64_t{100'000'000}}) {
      state.total = total;
      const std::string line = format_progress_bar(state, width);
      EXPECT_LT(utf8::count(line), static_cast<size_t>(width) + (width == 1 ? 1 : 0)) << line;
      EXPECT_TRUE(utf8::is_valid(line));
    }
  }
}

TEST(Progress, BytesThatWereThereAreNotSpeed) {
  ProgressState state = half_way();
  state.resumed = 40'000'000;
  EXPECT_THAT(format_progress_line(state), HasSubstr("2.0 MB/s  25.0 s left"));
}

TEST(Progress, OddNumbersDoNoHarm) {
  ProgressState state = half_way();
  state.done = 200'000'000;  // more than was announced
  EXPECT_THAT(format_progress_bar(state, 100), HasSubstr("100%"));
  state.elapsed_seconds = 0.0;
  EXPECT_THAT(format_progress_line(state), Not(HasSubstr("/s")));
}

TEST(Progress, WritesPlainLinesToAFile) {
  const test::TemporaryFolder folder;
  const std::string path = folder.file("out");
  const FileDescriptor file(::open(path.c_str(), O_WRONLY | O_CREAT, 0600));
  ASSERT_TRUE(file.is_open());
  {
    Progress progress("x", 1000, 0, file.get());
    for (uint64_t done = 0; done <= 1000; done += 10) progress.update(done);
    progress.finish();
    progress.update(5);
  }
  const std::string text = read_file(path, 10'000).value();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 11);  // each tenth once
  EXPECT_THAT(text, HasSubstr("x: 50% (500 B / 1.0 kB)"));
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
  EXPECT_THAT(text, Not(HasSubstr("\r")));
}

// The other end of a terminal whose screen can be read.
class Screen {
 public:
  Screen() : screen_(::posix_openpt(O_RDWR | O_NOCTTY)) {
    if (!screen_.is_open() || ::grantpt(screen_.get()) != 0 || ::unlockpt(screen_.get()) != 0) {
      return;
    }
    terminal_ = FileDescriptor(::open(::ptsname(screen_.get()), O_RDWR | O_NOCTTY));
    const winsize size{.ws_row = 25, .ws_col = 60, .ws_xpixel = 0, .ws_ypixel = 0};
    ::ioctl(screen_.get(), TIOCSWINSZ, &size);
  }
  [[nodiscard]] int terminal() const { return terminal_.get(); }
  // What stands there up to the end of the first line. A terminal hands on what was written in
  // pieces, and late when the machine is busy, so one read does not do.
  [[nodiscard]] std::string shown() const {
    std::string text;
    pollfd waiting{.fd = screen_.get(), .events = POLLIN, .revents = 0};
    while (text.find('\n') == std::string::npos && ::poll(&waiting, 1, 10'000) == 1) {
      std::array<char, 4096> piece{};
      const ssize_t n = ::read(screen_.get(), piece.data(), piece.size());
      if (n <= 0) break;
      text.append(piece.data(), static_cast<size_t>(n));
    }
    return text;
  }

 private:
  FileDescriptor screen_;
  FileDescriptor terminal_;
};

TEST(Progress, RedrawsOneLineOnATerminal) {
  const Screen screen;
  if (screen.terminal() < 0) GTEST_SKIP() << "skipped: no pseudo-terminals here";
  EXPECT_TRUE(is_terminal(screen.terminal()));
  EXPECT_EQ(terminal_width(screen.terminal()), 60);
  {
    Progress progress("x", 1000, 0, screen.terminal());
    progress.update(500);
    for (uint64_t done = 501; done < 600; ++done) progress.update(done);  // too soon to redraw
    progress.finish();
  }
  const std::string text = screen.shown();
  EXPECT_THAT(text, ::testing::StartsWith("\rx  50% ["));
  EXPECT_THAT(text, ::testing::EndsWith("\x1b[K\r\n"));
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
  EXPECT_LE(std::count(text.begin(), text.end(), '['), 8);
}

TEST(Progress, AnAbandonedBarLeavesAFreshLine) {
  const Screen screen;
  if (screen.terminal() < 0) GTEST_SKIP() << "skipped: no pseudo-terminals here";
  {
    Progress progress("x", 1000, 0, screen.terminal());
    progress.update(500);
  }
  EXPECT_THAT(screen.shown(), ::testing::EndsWith("\r\n"));
}

TEST(Terminal, AFileIsNone) {
  const FileDescriptor file(::open("/dev/null", O_RDWR));
  EXPECT_FALSE(is_terminal(file.get()));
  EXPECT_FALSE(wants_color(file.get()));
  EXPECT_EQ(terminal_width(file.get()), 80);
}

}  // namespace
}  // namespace llmrun
