// Attention on the CPU: divides queries, heads and, where these are few, the keys among threads.
#include <algorithm>

#include "kernels/cpu/ops.h"

namespace llmrun::kernels::cpu {
namespace {

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Multiply-adds, and written elements, below which waking another thread costs more than it saves.
constexpr int64_t kInlineWork = 1 << 17;
constexpr int64_t kInlineElements = 8192;

// How the work of one call is cut: `heads` of one key/value head and `tokens` in a task, each
// task's keys in `splits` (1: whole) of `split_segments` segments.
struct Division {
  int64_t heads, parts;  // parts of a key/value head's queries
  int64_t tokens, blocks;
  int64_t splits = 1, split_segments = 0;
  VisiblePages pages{};  // of the only token, when there are splits
};

Division divide(const AttentionParams& p, const AttentionKernels& kernels, int64_t threads) {
  const int64_t group = p.n_heads / p.n_kv_heads;
  Division d{};
  d.heads = std::min(group, kMaxQueries);
  d.tokens = std::min(p.q.n, std::max<int64_t>(1, kMaxQueries / d.heads));
  const auto n_tasks = [&] {
    return p.n_kv_heads * ceil_div(group, d.heads) * ceil_div(p.q.n, d.tokens);
  };
  if (p.q.n == 1) {
    kernels.visible_pages(p, 0, &d.pages);
    const int64_t first = d.pages.begin / d.pages.per_segment;
    const int64_t segments = ceil_div(d.pages.end, d.pages.per_segment) - first;
    // Three tasks per thread even out threads that are slower.
    if (n_tasks() < 3 * threads) d.splits = std::min(segments, ceil_div(3 * threads, n_tasks()));
    d.split_segments = ceil_div(segments, d.splits);
    d.splits = ceil_div(segments, d.split_segments);
  }
  // Few rows per task read every page more often, so cut them as little as will do.
  while (n_tasks() * d.splits < threads && d.tokens > 1) d.tokens = ceil_div(d.tokens, 2);
  while (n_tasks() < 3 * threads && d.tokens * d.heads > 24 && d.tokens > 1) {
    d.tokens = ceil_div(d.tokens, 2);
  }
  if (d.splits == 1) {
    while (n_tasks() < threads && d.heads > 1) d.heads = ceil_div(d.heads, 2);
  }
  d.parts = ceil_div(group, d.heads);
  d.blocks = ceil_div(p.q.n, d.tokens);
  return d;
}

}  // namespace

size_t CpuOps::attention_scratch(int64_t k_dim, int64_t v_dim) const {
  return static_cast<size_t>(table_.attention->scratch_floats(k_dim, v_dim)) * sizeof(float);
}

size_t CpuOps::partials_bytes(int64_t max_width) {
  // The values of all heads of one token, padded, with their sums.
  return static_cast<size_t>(kMaxSegments * 2 * max_width) * sizeof(float);
}

void CpuOps::kv_write(const KvWriteParams& p) {
  KvWriteTask all{p.pages.k_pages.data(), p.pages.v_pages.data(), 0, p.n_kv_heads, 0, p.k.n};
  if (p.k.n * p.n_kv_heads * (p.k_dim + p.v_dim) <= kInlineElements) {
    table_.attention->write(p, all);
    return;
  }
  // A page of a head each, so that no two threads write one cache line.
  const int64_t first_page = p.first_position / kPageTokens;
  const int64_t n_pages = ceil_div(p.first_position + p.k.n, kPageTokens) - first_page;
  pool_.parallel_for(n_pages * p.n_kv_heads, [&](int64_t index) {
    KvWriteTask task = all;
    task.head_begin = index % p.n_kv_heads;
    task.head_end = task.head_begin + 1;
    const int64_t page = first_page + index / p.n_kv_heads;
    task.row_begin = std::max<int64_t>(0, page * kPageTokens - p.first_position);
    task.row_end = std::min(p.k.n, (page + 1) * kPageTokens - p.first_position);
    table_.attention->write(p, task);
  });
}

void CpuOps::attention(const AttentionParams& p) {
  if (p.q.n == 0) return;
  const AttentionKernels& kernels = *table_.attention;
  const int64_t group = p.n_heads / p.n_kv_heads;
  const Division d = divide(p, kernels, pool_.n_threads());
  const size_t bytes = attention_scratch(p.k_dim, p.v_dim);
  uint8_t* scratch = scratch_.get(static_cast<size_t>(pool_.n_threads()) * bytes);
  const int64_t n_parts = p.n_kv_heads * d.parts;

  // Partial results of a part of the heads, segment after segment.
  const int64_t n_segments = d.splits * d.split_segments;
  const int64_t segment_floats = d.splits > 1 ? kernels.partial_floats(p, d.heads) : 0;
  float* partials = nullptr;
  if (d.splits > 1) {
    partials = reinterpret_cast<float*>(
        partials_.get(static_cast<size_t>(n_parts * n_segments * segment_floats) * sizeof(float)));
    while (unfinished_.size() < static_cast<size_t>(n_parts)) unfinished_.emplace_back();
    for (std::atomic<int64_t>& each : unfinished_) each.store(d.splits, std::memory_order_relaxed);
  }

  const auto attend = [&](int64_t index, int thread) {
    const int64_t part = index / d.splits % n_parts;
    const int64_t block = d.blocks - 1 - index / d.splits / n_parts;  // the longest rows first
    const int64_t split = index % d.splits;
    AttentionTask task{};
    task.k_pages = p.pages.k_pages.data();
    task.v_pages = p.pages.v_pages.data();
    task.kv_head = part / d.parts;
    task.head_begin = task.kv_head * group + part % d.parts * d.heads;
    task.head_end = std::min(task.head_begin + d.heads, (task.kv_head + 1) * group);
    task.token_begin = block * d.tokens;
    task.token_end = std::min(task.token_begin + d.tokens, p.q.n);
    auto* own = reinterpret_cast<float*>(scratch + static_cast<size_t>(thread) * bytes);
    VisiblePages first{};
    VisiblePages last{};
    kernels.visible_pages(p, task.token_begin, &first);
    kernels.visible_pages(p, task.token_end - 1, &last);
    task.page_begin = first.begin;
    task.page_end = last.end;
    if (d.splits == 1) {
      kernels.attend(p, task, own);
      return;
    }
    const int64_t first_segment = first.begin / first.per_segment;
    const int64_t begin = first_segment + split * d.split_segments;
    task.page_begin = std::max(first.begin, begin * first.per_segment);
    task.page_end = std::min(first.end, (begin + d.split_segments) * first.per_segment);
    float* const of_part = partials + part * n_segments * segment_floats;
    // Parts with fewer heads have shorter partial results: they lie close together all the same.
    const int64_t own_floats = kernels.partial_floats(p, task.head_end - task.head_begin);
    task.partials = of_part + split * d.split_segments * own_floats;
    kernels.attend(p, task, own);
    // The last to finish merges: it sees what the others have written.
    if (unfinished_[static_cast<size_t>(part)].fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    task.partials = of_part;
    kernels.merge(p, task, ceil_div(first.end, first.per_segment) - first_segment, own);
  };
  const int64_t total = n_parts * d.blocks * d.splits;
  if (p.q.n * p.n_heads * p.n_keys * (p.k_dim + p.v_dim) <= kInlineWork) {
    for (int64_t index = 0; index < total; ++index) attend(index, 0);
  } else {
    pool_.parallel_for_indexed(total, attend);
  }
}

}  // namespace llmrun::kernels::cpu
