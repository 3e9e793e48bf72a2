// Row-wise ops and attention of the CPU backend: how their work is divided among threads.
#include "kernels/cpu/ops.h"

#include <algorithm>

#include "base/error.h"
#include "kernels/ref/ref.h"
#include "kernels/tensor_type.h"

namespace llmrun::kernels::cpu {
namespace {

// Elements below which waking another thread costs more than it saves.
constexpr int64_t kInlineElements = 8192;
// Head sizes up to this need no scratch beyond what reserve() sets aside.
constexpr int64_t kReservedHeadSize = 576;

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Calls fn(Region) for parts of an n x width matrix whose elements do not depend on each other.
template <typename Fn>
void for_regions(ThreadPool& pool, int64_t n, int64_t width, const Fn& fn) {
  if (n * width <= kInlineElements) {
    fn(Region{0, n, 0, width});
    return;
  }
  constexpr int64_t kColumns = 4096;
  const int64_t rows = std::max<int64_t>(1, kInlineElements / 2 / width);
  const int64_t columns = rows > 1 ? width : kColumns;
  const int64_t per_row = ceil_div(width, columns);
  pool.parallel_for(ceil_div(n, rows) * per_row, [&](int64_t task) {
    const int64_t row = task / per_row * rows;
    const int64_t column = task % per_row * columns;
    fn(Region{row, std::min(row + rows, n), column, std::min(column + columns, width)});
  });
}

// Calls fn(begin, end) for ranges of rows of `width` elements.
template <typename Fn>
void for_rows(ThreadPool& pool, int64_t n, int64_t width, const Fn& fn) {
  if (n * width <= kInlineElements) {
    fn(int64_t{0}, n);
    return;
  }
  const int64_t rows = std::max<int64_t>(1, kInlineElements / 2 / width);
  pool.parallel_for(ceil_div(n, rows),
                    [&](int64_t task) { fn(task * rows, std::min((task + 1) * rows, n)); });
}

}  // namespace

size_t CpuOps::attention_scratch(int64_t k_dim, int64_t v_dim) const {
  return static_cast<size_t>(table_.attention->scratch_floats(k_dim, v_dim)) * sizeof(float);
}

size_t CpuOps::workspace_bytes(int64_t max_tokens, int64_t max_width) const {
  const auto n_tiles = static_cast<size_t>(ceil_div(max_tokens, table_.matmul->tile_tokens));
  return n_tiles * tile_bytes(max_width + 31) + thread_scratch_bytes();
}

size_t CpuOps::thread_scratch_bytes() const {
  return static_cast<size_t>(pool_.n_threads()) *
         std::max(table_.matmul->product_scratch,
                  attention_scratch(kReservedHeadSize, kReservedHeadSize));
}

Result<void> CpuOps::reserve(int64_t max_tokens, int64_t max_width) {
  const auto n_tiles = static_cast<size_t>(ceil_div(max_tokens, table_.matmul->tile_tokens));
  LLMRUN_TRY(activations_.reserve(n_tiles * tile_bytes(max_width + 31)));
  return scratch_.reserve(thread_scratch_bytes());
}

void CpuOps::embed(const EmbedParams& p) {
  const auto n = static_cast<int64_t>(p.ids.size());
  for_rows(pool_, n, p.table.n_in, [&](int64_t begin, int64_t end) {
    EmbedParams part = p;
    part.ids = p.ids.subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin));
    part.y.data += begin * p.y.stride;
    ref::embed(part);
  });
}

void CpuOps::norm(const NormParams& p) {
  for_rows(pool_, p.x.n, p.x.width,
           [&](int64_t begin, int64_t end) { table_.rows->norm(p, begin, end); });
}

void CpuOps::rope(const RopeParams& p) {
  for_rows(pool_, p.x.n, (p.n_heads + 4) * 2 * p.n_pairs, [&](int64_t begin, int64_t end) {
    table_.rows->rope(p, p.positions.data(), begin, end);
  });
}

void CpuOps::gated_activation(const GatedActivationParams& p) {
  for_regions(pool_, p.gate.n, p.gate.width,
              [&](const Region& region) { table_.rows->gated_activation(p, region); });
}

void CpuOps::add(const AddParams& p) {
  for_regions(pool_, p.x.n, p.x.width, [&](const Region& region) { table_.rows->add(p, region); });
}

void CpuOps::multiply(const MultiplyParams& p) {
  for_regions(pool_, p.y.n, p.y.width,
              [&](const Region& region) { table_.rows->multiply(p, region); });
}

void CpuOps::scale(const ScaleParams& p) {
  for_regions(pool_, p.x.n, p.x.width,
              [&](const Region& region) { table_.rows->scale(p, region); });
}

void CpuOps::group_dot(const GroupDotParams& p) {
  for_rows(pool_, p.y.n, p.a.width,
           [&](int64_t begin, int64_t end) { table_.rows->group_dot(p, begin, end); });
}

void CpuOps::mix_rows(const MixRowsParams& p) {
  for_rows(pool_, p.y.n, p.y.width * p.scores.width,
           [&](int64_t begin, int64_t end) { table_.rows->mix_rows(p, begin, end); });
}

void CpuOps::kv_write(const KvWriteParams& p) {
  for_rows(pool_, p.k.n, p.n_kv_heads * (p.k_dim + p.v_dim), [&](int64_t begin, int64_t end) {
    table_.attention->write(p, p.pages.k_pages.data(), p.pages.v_pages.data(), begin, end);
  });
}

void CpuOps::attention(const AttentionParams& p) {
  if (p.q.n == 0) return;
  const int64_t group = p.n_heads / p.n_kv_heads;
  const int64_t threads = pool_.n_threads();
  // As many queries per task as share a decoded page, but enough tasks for all threads.
  int64_t heads = std::min(group, kMaxQueries);
  int64_t tokens = std::min(p.q.n, std::max<int64_t>(1, kMaxQueries / heads));
  const auto n_tasks = [&] {
    return p.n_kv_heads * ceil_div(group, heads) * ceil_div(p.q.n, tokens);
  };
  while (n_tasks() < 3 * threads && tokens > 1) tokens = ceil_div(tokens, 2);
  while (n_tasks() < 3 * threads && heads > 1) heads = ceil_div(heads, 2);
  const int64_t blocks = ceil_div(p.q.n, tokens);
  const int64_t parts = ceil_div(group, heads);
  const size_t bytes = attention_scratch(p.k_dim, p.v_dim);
  uint8_t* scratch = scratch_.get(static_cast<size_t>(threads) * bytes);
  const auto attend = [&](int64_t index, int thread) {
    AttentionTask task;
    task.k_pages = p.pages.k_pages.data();
    task.v_pages = p.pages.v_pages.data();
    const int64_t block = blocks - 1 - index / (p.n_kv_heads * parts);  // the longest rows first
    const int64_t head = index % (p.n_kv_heads * parts);
    task.kv_head = head / parts;
    task.head_begin = task.kv_head * group + head % parts * heads;
    task.head_end = std::min(task.head_begin + heads, (task.kv_head + 1) * group);
    task.token_begin = block * tokens;
    task.token_end = std::min(task.token_begin + tokens, p.q.n);
    table_.attention->attend(
        p, task, reinterpret_cast<float*>(scratch + static_cast<size_t>(thread) * bytes));
  };
  const int64_t total = p.n_kv_heads * parts * blocks;
  if (p.q.n * p.n_heads * p.n_keys * (p.k_dim + p.v_dim) <= 4 * kInlineElements) {
    for (int64_t index = 0; index < total; ++index) attend(index, 0);
  } else {
    pool_.parallel_for_indexed(total, attend);
  }
}

void CpuOps::route(const RouteParams& p) {
  for_rows(pool_, p.logits.n, 16 * p.logits.width, [&](int64_t begin, int64_t end) {
    RouteParams part = p;
    part.logits.data += begin * p.logits.stride;
    part.logits.n = end - begin;
    part.experts += begin * p.n_used;
    part.weights += begin * p.n_used;
    ref::route(part);
  });
}

void CpuOps::combine_experts(const CombineExpertsParams& p) {
  for_rows(pool_, p.y.n, p.y.width * p.n_used,
           [&](int64_t begin, int64_t end) { table_.rows->combine_experts(p, begin, end); });
}

}  // namespace llmrun::kernels::cpu
