// Halves the pool of the cache, then the number of rows, until the plan fits.
#include "batch/parallel.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <vector>

#include "base/error.h"

namespace llmrun::batch {

namespace {

// What so many of the longest rows need together.
int64_t pool_for(const Group& group, int64_t n_rows) {
  std::vector<int64_t> needed = group.needed_tokens;
  std::sort(needed.begin(), needed.end(), std::greater<>());
  needed.resize(std::min(needed.size(), static_cast<size_t>(n_rows)));
  constexpr int64_t kPage = 64;  // a row's last page is rarely full
  return std::accumulate(needed.begin(), needed.end(), int64_t{0}) + n_rows * kPage;
}

}  // namespace

Result<ContextOptions> context_for(const Options& options, const Group& group) {
  ContextOptions context = options.context;
  context.context_tokens = std::max<int64_t>(1, group.context_tokens);
  const auto n_rows = std::max<int64_t>(1, static_cast<int64_t>(group.requests.size()));
  const bool is_given = context.max_sequences > 0;
  context.max_sequences = std::min(is_given ? context.max_sequences : kDefaultParallel, n_rows);
  context.pool_tokens = std::clamp(pool_for(group, context.max_sequences), context.context_tokens,
                                   context.context_tokens * context.max_sequences);
  while (true) {
    LLMRUN_ASSIGN(const MemoryEstimate plan, estimate_memory(group.found.path, context));
    if (plan.allocated_bytes <= plan.available_bytes / 2) return context;
    if (context.pool_tokens > context.context_tokens) {
      context.pool_tokens = std::max(context.context_tokens, context.pool_tokens / 2);
    } else if (!is_given && context.max_sequences > 1) {
      context.max_sequences /= 2;
    } else {
      return context;  // opening the session says whether it can be had
    }
  }
}

}  // namespace llmrun::batch
