// Draws progress. Failing to draw is never an error.
#include "base/progress.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/file_io.h"
#include "base/terminal.h"
#include "base/units.h"
#include "base/utf8.h"

namespace llmrun {
namespace {

double speed_of(const ProgressState& state) {  // bytes per second
  if (state.elapsed_seconds <= 0.0 || state.done <= state.resumed) return 0.0;
  return static_cast<double>(state.done - state.resumed) / state.elapsed_seconds;
}

int percent_of(const ProgressState& state) {
  if (state.total == 0) return 0;
  const double share = static_cast<double>(state.done) / static_cast<double>(state.total);
  return std::clamp(static_cast<int>(share * 100.0), 0, 100);
}

std::string amount_of(const ProgressState& state) {
  const std::string done = format_bytes_decimal(state.done);
  return state.total == 0 ? done : done + " / " + format_bytes_decimal(state.total);
}

// "12.3 MB/s", and the time left when that is known.
std::string pace_of(const ProgressState& state) {
  const double speed = speed_of(state);
  if (speed <= 0.0) return "";
  std::string text = "  " + format_bytes_decimal(static_cast<uint64_t>(speed)) + "/s";
  if (state.done < state.total) {
    text += "  " + format_duration(static_cast<double>(state.total - state.done) / speed) + " left";
  }
  return text;
}

// The first `columns` characters (a character is taken as one column wide).
std::string cut(const std::string& text, size_t columns) {
  size_t i = 0;
  for (size_t n = 0; n < columns && i < text.size(); ++n) i += utf8::decode(text, i).length;
  return text.substr(0, i);
}

void put(int descriptor, const std::string& text) {
  // A closed or full stderr must not stop a download.
  [[maybe_unused]] const ssize_t ignored = ::write(descriptor, text.data(), text.size());
}

}  // namespace

std::string format_progress_bar(const ProgressState& state, int width) {
  const std::string left =
      state.total == 0 ? state.name : fmt::format("{} {:3}%", state.name, percent_of(state));
  const std::string right = amount_of(state) + pace_of(state);
  const auto columns = static_cast<size_t>(std::max(width, 1));
  const size_t used = utf8::count(left) + right.size() + 5;  // " [", "] ", last column left free
  constexpr size_t kSmallest = 8;
  constexpr size_t kLargest = 40;
  if (state.total == 0 || used + kSmallest > columns) {
    return cut(left + "  " + right, columns - 1);
  }
  const size_t cells = std::min(columns - used, kLargest);
  const auto filled = cells * static_cast<size_t>(percent_of(state)) / 100;
  return fmt::format("{} [{}{}] {}", left, std::string(filled, '#'),
                     std::string(cells - filled, '-'), right);
}

std::string format_progress_line(const ProgressState& state) {
  const std::string percent =
      state.total == 0 ? std::string() : fmt::format("{}% ", percent_of(state));
  return fmt::format("{}: {}({}){}", state.name, percent, amount_of(state), pace_of(state));
}

Progress::Progress(std::string name, uint64_t total, uint64_t resumed)
    : Progress(std::move(name), total, resumed, STDERR_FILENO) {}

Progress::Progress(std::string name, uint64_t total, uint64_t resumed, int descriptor)
    : descriptor_(descriptor),
      terminal_(is_terminal(descriptor)),
      start_(Clock::now()),
      last_draw_(start_ - std::chrono::hours(1)) {
  state_.name = std::move(name);
  state_.total = total;
  state_.done = resumed;
  state_.resumed = resumed;
}

Progress::~Progress() {
  if (dirty_line_) put(descriptor_, "\n");
}

void Progress::update(uint64_t done) {
  if (finished_) return;
  state_.done = done;
  const Clock::time_point now = Clock::now();
  state_.elapsed_seconds = std::chrono::duration<double>(now - start_).count();
  const auto since_draw = now - last_draw_;
  bool due = since_draw >= std::chrono::milliseconds(100);
  if (!terminal_) {
    const int tenth = percent_of(state_) / 10;
    due = tenth > last_tenth_ || since_draw >= std::chrono::seconds(30);
    if (due) last_tenth_ = tenth;
  }
  if (!due) return;
  last_draw_ = now;
  draw();
}

void Progress::finish() {
  if (finished_) return;
  finished_ = true;
  state_.elapsed_seconds = std::chrono::duration<double>(Clock::now() - start_).count();
  if (terminal_ || last_tenth_ < 10) draw();
  if (dirty_line_) put(descriptor_, "\n");
  dirty_line_ = false;
}

void Progress::draw() {
  if (!terminal_) {
    put(descriptor_, format_progress_line(state_) + "\n");
    return;
  }
  // Carriage return, the bar, erase to the end of the line (ECMA-48 EL).
  put(descriptor_, "\r" + format_progress_bar(state_, terminal_width(descriptor_)) + "\x1b[K");
  dirty_line_ = true;
}

}  // namespace llmrun
