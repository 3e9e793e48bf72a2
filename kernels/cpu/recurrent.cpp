// Recurrent ops of the CPU backend: channels and rows of state are divided among threads.
#include <algorithm>

#include "kernels/cpu/ops.h"

namespace llmrun::kernels::cpu {
namespace {

// Elements below which waking another thread costs more than it saves.
constexpr int64_t kInlineElements = 8192;

// Calls fn(begin, end) for ranges of `n` rows that each cost `elements`. Ranges begin at multiples
// of kGranule, a cache line of floats, so that threads do not write to the same one.
template <typename Fn>
void for_ranges(ThreadPool& pool, int64_t n, int64_t elements, const Fn& fn) {
  constexpr int64_t kGranule = 16;
  if (n * elements <= kInlineElements) {
    fn(int64_t{0}, n);
    return;
  }
  const int64_t n_granules = (n + kGranule - 1) / kGranule;
  const int64_t n_tasks = std::min<int64_t>(n_granules, 4 * pool.n_threads());
  pool.parallel_for(n_tasks, [&](int64_t task) {
    const int64_t begin = n_granules * task / n_tasks * kGranule;
    const int64_t end = std::min(n, n_granules * (task + 1) / n_tasks * kGranule);
    fn(begin, end);
  });
}

}  // namespace

void CpuOps::causal_conv(const CausalConvParams& p) {
  for_ranges(pool_, p.x.width, p.x.n * p.n_taps,
             [&](int64_t begin, int64_t end) { table_.recurrent->causal_conv(p, begin, end); });
}

void CpuOps::state_space(const StateSpaceParams& p) {
  for_ranges(pool_, p.n_heads * p.head_dim, p.x.n * p.n_state,
             [&](int64_t begin, int64_t end) { table_.recurrent->state_space(p, begin, end); });
}

void CpuOps::delta_rule(const DeltaRuleParams& p) {
  for_ranges(pool_, p.n_heads * p.v_dim, p.v.n * p.k_dim,
             [&](int64_t begin, int64_t end) { table_.recurrent->delta_rule(p, begin, end); });
}

}  // namespace llmrun::kernels::cpu
