// Ctrl-C: the first one asks the running work to stop, a second one ends the program.
#pragma once

#include "llmrun/error.h"
#include "llmrun/model.h"

namespace llmrun::cli {

// While it lives, SIGINT sets a flag (and cancels the session, when there is one) instead of ending
// the program. Not nested.
class InterruptGuard {
 public:
  explicit InterruptGuard(Session* session = nullptr);
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;
  ~InterruptGuard();

  [[nodiscard]] static bool interrupted();
  // kInterrupted when the user asked to stop.
  [[nodiscard]] static Result<void> check();
};

}  // namespace llmrun::cli
