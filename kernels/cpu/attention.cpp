// Attention on the CPU: divides sequences, queries, heads and, where these are few, the keys among
// threads.
#include <algorithm>

#include "kernels/cpu/ops.h"

namespace llmrun::kernels::cpu {
namespace {

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Multiply-adds, and written elements, below which waking another thread costs more than it saves.
constexpr int64_t kInlineWork = 1 << 17;
constexpr int64_t kInlineElements = 8192;

int64_t multiplications(const AttentionParams& p) {
  return p.q.n * p.n_heads * p.n_keys * (p.k_dim + p.v_dim);
}

// For a sequence that should keep `threads` threads busy.
AttentionWork divide(const AttentionParams& p, const AttentionKernels& kernels, int64_t threads) {
  const int64_t group = p.n_heads / p.n_kv_heads;
  AttentionWork w{};
  w.splits = 1;
  w.heads = std::min(group, kMaxQueries);
  w.tokens = std::min(p.q.n, std::max<int64_t>(1, kMaxQueries / w.heads));
  const auto n_tasks = [&] {
    return p.n_kv_heads * ceil_div(group, w.heads) * ceil_div(p.q.n, w.tokens);
  };
  if (p.q.n == 1 && n_tasks() < 3 * threads) {
    VisiblePages pages{};
    kernels.visible_pages(p, 0, &pages);
    const int64_t segments =
        ceil_div(pages.end, pages.per_segment) - pages.begin / pages.per_segment;
    // Three tasks per thread even out threads that are slower.
    w.split_segments = ceil_div(segments, std::min(segments, ceil_div(3 * threads, n_tasks())));
    w.splits = ceil_div(segments, w.split_segments);
  }
  // Few rows per task read every page more often, so cut them as little as will do.
  while (n_tasks() * w.splits < threads && w.tokens > 1) w.tokens = ceil_div(w.tokens, 2);
  while (n_tasks() < 3 * threads && w.tokens * w.heads > 24 && w.tokens > 1) {
    w.tokens = ceil_div(w.tokens, 2);
  }
  if (w.splits == 1) {
    while (n_tasks() < threads && w.heads > 1) w.heads = ceil_div(w.heads, 2);
  }
  w.parts = ceil_div(group, w.heads);
  w.blocks = ceil_div(p.q.n, w.tokens);
  w.n_tasks = p.n_kv_heads * w.parts * w.blocks * w.splits;
  return w;
}

}  // namespace

size_t CpuOps::attention_scratch(int64_t k_dim, int64_t v_dim) const {
  return static_cast<size_t>(table_.attention->scratch_floats(k_dim, v_dim)) * sizeof(float);
}

size_t CpuOps::partials_bytes(int64_t max_width) {
  // The values of all heads of one token, padded, with their sums.
  return static_cast<size_t>(kMaxSegments * 2 * max_width) * sizeof(float);
}

void CpuOps::kv_write(std::span<const KvWriteParams> sequences) {
  int64_t n_rows = 0;
  int64_t most_pages = 0;
  const auto page_of = [](int64_t position) { return position / kPageTokens; };
  const auto n_pages = [&](const KvWriteParams& p) {
    return p.k.n == 0 ? 0 : page_of(p.first_position + p.k.n - 1) - page_of(p.first_position) + 1;
  };
  for (const KvWriteParams& p : sequences) {
    n_rows += p.k.n;
    most_pages = std::max(most_pages, n_pages(p));
  }
  if (n_rows == 0) return;
  const KvWriteParams& any = sequences[0];
  const auto all = [](const KvWriteParams& p) {
    return KvWriteTask{p.pages.k_pages.data(), p.pages.v_pages.data(), 0, p.n_kv_heads, 0, p.k.n};
  };
  if (n_rows * any.n_kv_heads * (any.k_dim + any.v_dim) <= kInlineElements) {
    for (const KvWriteParams& p : sequences) table_.attention->write(p, all(p));
    return;
  }
  // A page of a head each, so that no two threads write one cache line.
  const int64_t per_sequence = most_pages * any.n_kv_heads;
  pool_.parallel_for(static_cast<int64_t>(sequences.size()) * per_sequence, [&](int64_t index) {
    const KvWriteParams& p = sequences[static_cast<size_t>(index / per_sequence)];
    const int64_t number = index % per_sequence / p.n_kv_heads;
    if (number >= n_pages(p)) return;
    KvWriteTask task = all(p);
    task.head_begin = index % p.n_kv_heads;
    task.head_end = task.head_begin + 1;
    const int64_t start = (page_of(p.first_position) + number) * kPageTokens - p.first_position;
    task.row_begin = std::max<int64_t>(0, start);
    task.row_end = std::min(p.k.n, start + kPageTokens);
    table_.attention->write(p, task);
  });
}

int64_t CpuOps::divide_attention(std::span<const AttentionParams> sequences) {
  const AttentionKernels& kernels = *table_.attention;
  int64_t total = 0;
  for (const AttentionParams& p : sequences) total += multiplications(p);
  attention_work_.clear();
  int64_t n_tasks = 0;
  int64_t n_floats = 0;
  size_t n_counters = 0;
  for (const AttentionParams& p : sequences) {
    // As many threads as its share of the work, rounded up.
    const int64_t threads = ceil_div(pool_.n_threads() * multiplications(p), total);
    AttentionWork& work = attention_work_.emplace_back(divide(p, kernels, threads));
    n_tasks += work.n_tasks;
    if (work.splits == 1) continue;
    const int64_t n_parts = p.n_kv_heads * work.parts;
    work.first_partial = n_floats;
    work.part_floats = work.splits * work.split_segments * kernels.partial_floats(p, work.heads);
    n_floats += n_parts * work.part_floats;
    work.first_counter = static_cast<int64_t>(n_counters);
    n_counters += static_cast<size_t>(n_parts);
    while (unfinished_.size() < n_counters) unfinished_.emplace_back();
    for (size_t i = n_counters - static_cast<size_t>(n_parts); i < n_counters; ++i) {
      unfinished_[i].store(work.splits, std::memory_order_relaxed);
    }
  }
  if (n_floats > 0) partials_.get(static_cast<size_t>(n_floats) * sizeof(float));
  return n_tasks;
}

void CpuOps::attend(const AttentionParams& p, const AttentionWork& work, int64_t task_index,
                    uint8_t* scratch) {
  const AttentionKernels& kernels = *table_.attention;
  const int64_t group = p.n_heads / p.n_kv_heads;
  const int64_t n_parts = p.n_kv_heads * work.parts;
  const int64_t split = task_index % work.splits;
  const int64_t part = task_index / work.splits % n_parts;
  // The longest rows first.
  const int64_t block = work.blocks - 1 - task_index / work.splits / n_parts;
  auto* const own = reinterpret_cast<float*>(scratch);
  AttentionTask task{};
  task.k_pages = p.pages.k_pages.data();
  task.v_pages = p.pages.v_pages.data();
  task.kv_head = part / work.parts;
  task.head_begin = task.kv_head * group + part % work.parts * work.heads;
  task.head_end = std::min(task.head_begin + work.heads, (task.kv_head + 1) * group);
  task.token_begin = block * work.tokens;
  task.token_end = std::min(task.token_begin + work.tokens, p.q.n);
  VisiblePages first{};
  VisiblePages last{};
  kernels.visible_pages(p, task.token_begin, &first);
  kernels.visible_pages(p, task.token_end - 1, &last);
  task.page_begin = first.begin;
  task.page_end = last.end;
  if (work.splits == 1) {
    kernels.attend(p, task, own);
    return;
  }
  const int64_t first_segment = first.begin / first.per_segment;
  const int64_t begin = first_segment + split * work.split_segments;
  task.page_begin = std::max(first.begin, begin * first.per_segment);
  task.page_end = std::min(first.end, (begin + work.split_segments) * first.per_segment);
  auto* const of_part =
      reinterpret_cast<float*>(partials_.get(0)) + work.first_partial + part * work.part_floats;
  const int64_t segment_floats = kernels.partial_floats(p, task.head_end - task.head_begin);
  task.partials = of_part + split * work.split_segments * segment_floats;
  kernels.attend(p, task, own);
  // The last to finish merges: it sees what the others have written.
  auto& unfinished = unfinished_[static_cast<size_t>(work.first_counter + part)];
  if (unfinished.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  task.partials = of_part;
  kernels.merge(p, task, ceil_div(first.end, first.per_segment) - first_segment, own);
}

void CpuOps::attention(std::span<const AttentionParams> sequences) {
  int64_t work = 0;
  size_t bytes = 0;
  for (const AttentionParams& p : sequences) {
    work += multiplications(p);
    bytes = std::max(bytes, attention_scratch(p.k_dim, p.v_dim));
  }
  if (work == 0) return;
  uint8_t* const scratch = scratch_.get(static_cast<size_t>(pool_.n_threads()) * bytes);
  const int64_t n_tasks = divide_attention(sequences);
  const auto run = [&](int64_t task, int thread) {
    size_t i = 0;
    while (task >= attention_work_[i].n_tasks) task -= attention_work_[i++].n_tasks;
    attend(sequences[i], attention_work_[i], task, scratch + static_cast<size_t>(thread) * bytes);
  };
  if (work <= kInlineWork) {
    for (int64_t task = 0; task < n_tasks; ++task) run(task, 0);
  } else {
    pool_.parallel_for_indexed(n_tasks, run);
  }
}

}  // namespace llmrun::kernels::cpu
