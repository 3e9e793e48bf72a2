// Draws the progress of a batch. Failing to draw is never an error.
#include "cli/batch_progress.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "base/error.h"
#include "base/terminal.h"
#include "base/units.h"

namespace llmrun::cli {
namespace {

double share_of(const batch::Status& status) {
  return status.rows > 0 ? static_cast<double>(status.rows_done) / static_cast<double>(status.rows)
                         : 1.0;
}

}  // namespace

std::string batch_progress_text(const batch::Status& status, int width) {
  std::string text = fmt::format("{}/{} rows  {:.0f} %", status.rows_done, status.rows,
                                 std::floor(share_of(status) * 100));
  if (status.rows_failed > 0) text += fmt::format("  {} failed", status.rows_failed);
  text += fmt::format("  {} tokens", status.answer_tokens);
  if (status.seconds > 0) {
    text +=
        fmt::format("  {:.1f} tok/s", static_cast<double>(status.answer_tokens) / status.seconds);
  }
  // Rows that are under way count as half: the first rows end late, the last ones early.
  const auto done_now = static_cast<double>(status.rows_done - status.rows_before);
  const auto left = static_cast<double>(status.rows - status.rows_done);
  if (done_now >= 1 && left > 0) {
    const double pace =
        (done_now + 0.5 * static_cast<double>(status.rows_running)) / status.seconds;
    const double work = left - 0.5 * static_cast<double>(status.rows_running);
    text += fmt::format("  {} left", format_duration(std::max(0.0, work / pace)));
  }
  if (width > 0 && text.size() >= static_cast<size_t>(width)) {
    text.resize(static_cast<size_t>(width) - 1);
  }
  return text;
}

std::string batch_progress_bar(const batch::Status& status, int width) {
  std::string text = batch_progress_text(status, width);
  constexpr size_t kSmallest = 8;
  constexpr size_t kLargest = 40;
  const auto columns = static_cast<size_t>(std::max(width, 1));
  const size_t used = text.size() + 4;  // "[", "] ", last column left free
  if (used + kSmallest > columns) return text;
  const size_t cells = std::min(columns - used, kLargest);
  const auto filled = static_cast<size_t>(share_of(status) * static_cast<double>(cells));
  return fmt::format("[{}{}] {}", std::string(filled, '#'), std::string(cells - filled, '-'), text);
}

BatchProgress::BatchProgress() : BatchProgress(stderr, std::chrono::seconds(10)) {
  if (!is_terminal(STDERR_FILENO)) return;
  terminal_ = true;
  every_ = std::chrono::milliseconds(100);
  last_draw_ -= every_;  // at once
}

BatchProgress::BatchProgress(std::FILE* log, Clock::duration every)
    : out_(log), terminal_(false), every_(every), last_draw_(Clock::now()) {}

BatchProgress::~BatchProgress() {
  if (dirty_line_) (void)std::fputs("\n", out_);
}

void BatchProgress::update(const batch::Status& status) {
  const Clock::time_point now = Clock::now();
  const bool is_last = status.rows_done == status.rows;
  if (now - last_draw_ < every_ && !(is_last && terminal_)) return;
  last_draw_ = now;
  if (terminal_) {
    (void)std::fprintf(out_, "\r%s\x1b[K",
                       batch_progress_bar(status, terminal_width(STDERR_FILENO)).c_str());
    dirty_line_ = true;
  } else {
    (void)std::fprintf(out_, "%s\n", batch_progress_text(status).c_str());
  }
}

}  // namespace llmrun::cli
