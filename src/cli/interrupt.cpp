// The SIGINT handler: it only sets a flag and calls the async-signal-safe Session::cancel().
#include "cli/interrupt.h"

#include <atomic>
#include <csignal>

#include "base/error.h"

namespace llmrun::cli {
namespace {

std::atomic<bool> was_interrupted = false;
std::atomic<Session*> running_session = nullptr;
struct sigaction previous_action = {};

static_assert(std::atomic<bool>::is_always_lock_free && std::atomic<Session*>::is_always_lock_free);

void on_interrupt(int) {
  if (was_interrupted.exchange(true)) {
    // The first one was not obeyed in time: end as a program without a handler would.
    std::signal(SIGINT, SIG_DFL);
    (void)std::raise(SIGINT);
    return;
  }
  if (Session* const session = running_session.load()) session->cancel();
}

}  // namespace

InterruptGuard::InterruptGuard(Session* session) {
  was_interrupted = false;
  running_session = session;
  struct sigaction action = {};
  action.sa_handler = on_interrupt;
  sigemptyset(&action.sa_mask);
  action.sa_flags = 0;  // reads return with EINTR
  (void)sigaction(SIGINT, &action, &previous_action);
}

InterruptGuard::~InterruptGuard() {
  (void)sigaction(SIGINT, &previous_action, nullptr);
  running_session = nullptr;
}

bool InterruptGuard::interrupted() { return was_interrupted; }

Result<void> InterruptGuard::check() {
  if (!was_interrupted) return {};
  return make_error(ErrorCode::kInterrupted, "interrupted");
}

}  // namespace llmrun::cli
