// One comparison per period and token.
#include "engine/loop_guard.h"

#include <algorithm>

namespace llmrun::engine {

bool LoopGuard::push(std::span<const TokenId> answer) {
  bool is_loop = false;
  const size_t last = answer.size() - 1;
  for (size_t period = 1; period <= std::min(last, kMostPeriod); ++period) {
    if (answer[last] != answer[last - period]) {
      n_equal_[period] = 0;
      continue;
    }
    ++n_equal_[period];
    const size_t length = n_equal_[period] + period;
    is_loop = is_loop || (length >= kLeastTokens && length >= kLeastTimes * period);
  }
  return is_loop;
}

}  // namespace llmrun::engine
