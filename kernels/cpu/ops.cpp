// Row-wise ops of the CPU backend: how their work is divided among threads.
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

size_t CpuOps::workspace_bytes(int64_t max_tokens, int64_t max_width) const {
  return tiles_bytes(max_tokens, max_width + 31) + feed_forward_bytes(max_tokens, max_width + 31) +
         thread_scratch_bytes() + partials_bytes(max_width);
}

size_t CpuOps::thread_scratch_bytes() const {
  return static_cast<size_t>(pool_.n_threads()) *
         std::max(table_.matmul->product_scratch,
                  attention_scratch(kReservedHeadSize, kReservedHeadSize));
}

Result<void> CpuOps::reserve(int64_t max_tokens, int64_t max_width) {
  LLMRUN_TRY(activations_.reserve(tiles_bytes(max_tokens, max_width + 31)));
  LLMRUN_TRY(feed_forward_.reserve(feed_forward_bytes(max_tokens, max_width + 31)));
  LLMRUN_TRY(partials_.reserve(partials_bytes(max_width)));
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
