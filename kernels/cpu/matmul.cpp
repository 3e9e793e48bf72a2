// Products on the CPU: quantises activations once per call and divides weight rows among threads.
#include <algorithm>
#include <iterator>
#include <vector>

#include "kernels/cpu/ops.h"

namespace llmrun::kernels::cpu {
namespace {

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// The parts of a Product that a weight determines.
Product product_of(const Weight& weight, int64_t matrix) {
  Product product{};
  product.weights = reinterpret_cast<const uint8_t*>(weight.row(matrix, 0));
  product.row_bytes = weight.row_bytes;
  product.n_in = weight.n_in;
  return product;
}

// Products below this many multiply-adds are done before another thread would have woken up.
constexpr int64_t kInlineWork = int64_t{1} << 16;

const ProductKernel& kernel_of(const MatmulKernels& kernels, const Weight& weight) {
  return kernels.products[static_cast<size_t>(weight.type)];
}

// Calls multiply(outputs, group, any_blocks) for all outputs of a product, or, when their types
// need differently quantised activations, for those of each group. Float types, which need none, go
// with the others.
template <typename Output, typename Fn>
void for_each_group(const MatmulKernels& kernels, std::span<const Output> outputs, Fn&& multiply) {
  bool needs[kActivationGroups] = {};
  for (const Output& output : outputs) {
    if (!kernel_of(kernels, output.weight).is_float)
      needs[kernel_of(kernels, output.weight).activations] = true;
  }
  if (!needs[kGroupOf16] || !needs[kGroupOf32]) {
    const bool any_blocks = needs[kGroupOf16] || needs[kGroupOf32];
    return multiply(outputs, needs[kGroupOf32] ? kGroupOf32 : kGroupOf16, any_blocks);
  }
  for (const ActivationGroup group : {kGroupOf16, kGroupOf32}) {
    std::vector<Output> part;
    std::copy_if(outputs.begin(), outputs.end(), std::back_inserter(part),
                 [&](const Output& output) {
                   return kernel_of(kernels, output.weight).activations == group;
                 });
    multiply(std::span<const Output>(part), group, true);
  }
}

}  // namespace

size_t CpuOps::tile_bytes(int64_t n_in) const {
  return static_cast<size_t>(n_in / 32 * table_.matmul->tile_tokens) * sizeof(ActivationBlock);
}

int64_t CpuOps::rows_per_task(int64_t n_rows, int64_t n_tokens) const {
  const int64_t lanes = table_.matmul->lanes;
  // Several tasks per thread even out threads that are slower; many tokens make a task long
  // enough at the number of rows that the kernel works on together.
  const int64_t tasks_per_thread = n_tokens <= table_.matmul->tile_tokens ? 6 : 8;
  const int64_t rows = ceil_div(n_rows, tasks_per_thread * pool_.n_threads());
  const int64_t most = n_tokens <= table_.matmul->tile_tokens ? 512 : table_.matmul->task_rows;
  return std::clamp(ceil_div(rows, lanes) * lanes, lanes, most);
}

size_t CpuOps::tiles_bytes(int64_t n_tokens, int64_t n_in) const {
  return static_cast<size_t>(ceil_div(n_tokens, table_.matmul->tile_tokens)) * tile_bytes(n_in);
}

// The part of product_scratch() that a thread has.
uint8_t* CpuOps::part_of(uint8_t* scratch, int thread) const {
  return scratch + static_cast<size_t>(thread) * table_.matmul->product_scratch;
}

// `work` in multiply-adds of all tasks.
template <typename Fn>
void CpuOps::for_tasks(int64_t work, int64_t n_tasks, Fn&& compute) {
  if (work <= kInlineWork) {
    for (int64_t task = 0; task < n_tasks; ++task) compute(task, 0);
  } else {
    pool_.parallel_for_neighbours(n_tasks, compute);
  }
}

uint8_t* CpuOps::product_scratch() {
  return scratch_.get(static_cast<size_t>(pool_.n_threads()) * table_.matmul->product_scratch);
}

// Quantises n_values of each row of tile `tile` of n_rows rows.
template <typename RowAt>
void CpuOps::quantize_tile(ActivationGroup group, const RowAt& row_at, int64_t n_rows, int64_t tile,
                           int64_t n_values, uint8_t* to) const {
  constexpr int64_t kMaxTile = 16;
  const int64_t first = tile * table_.matmul->tile_tokens;
  const int64_t n = std::min<int64_t>(table_.matmul->tile_tokens, n_rows - first);
  const float* rows[kMaxTile];
  for (int64_t t = 0; t < n; ++t) rows[t] = row_at(first + t);
  table_.matmul->quantize_tile[group](rows, n, n_values, to);
}

// The tiles lie `tile_stride` bytes apart.
template <typename RowAt>
void CpuOps::quantize_rows(ActivationGroup group, const RowAt& row_at, int64_t n_rows,
                           int64_t n_values, size_t tile_stride, uint8_t* to) const {
  for (int64_t tile = 0; tile < ceil_div(n_rows, table_.matmul->tile_tokens); ++tile) {
    quantize_tile(group, row_at, n_rows, tile, n_values,
                  to + static_cast<size_t>(tile) * tile_stride);
  }
}

// On all threads: tile by tile, and when there are fewer tiles than threads in parts of them.
uint8_t* CpuOps::quantize_on_all(ActivationGroup group, const ConstRows& x) {
  constexpr int64_t kWorthATask = 8192;  // values: fewer are done before a thread has woken up
  const int64_t n_tiles = ceil_div(x.n, table_.matmul->tile_tokens);
  const int64_t n_parts = std::clamp<int64_t>(
      std::min(x.n * x.width / kWorthATask, int64_t{pool_.n_threads()}) / n_tiles, 1, x.width / 32);
  const int64_t part = ceil_div(x.width / 32, n_parts) * 32;
  uint8_t* tiles = activations_.get(tiles_bytes(x.n, x.width));
  pool_.parallel_for(n_tiles * n_parts, [&](int64_t task) {
    const int64_t tile = task / n_parts;
    const int64_t begin = std::min(task % n_parts * part, x.width);
    quantize_tile(
        group, [&](int64_t row) { return x.data + row * x.stride + begin; }, x.n, tile,
        std::min(part, x.width - begin),
        tiles + static_cast<size_t>(tile) * tile_bytes(x.width) + tile_bytes(begin));
  });
  return tiles;
}

void CpuOps::matmul(const MatmulParams& params) {
  if (params.x.n == 0) return;
  tell(observer_, params);
  for_each_group(*table_.matmul, params.outputs,
                 [&](std::span<const MatmulOutput> outputs, ActivationGroup group, bool blocks) {
                   multiply(params.x, outputs, blocks ? quantize_on_all(group, params.x) : nullptr);
                 });
}

void CpuOps::multiply(const ConstRows& x, std::span<const MatmulOutput> outputs,
                      const uint8_t* tiles) {
  int64_t n_rows = 0;
  for (const MatmulOutput& output : outputs) n_rows += output.weight.n_out;
  uint8_t* scratch = product_scratch();
  const int64_t step = rows_per_task(n_rows, x.n);
  int64_t n_tasks = 0;
  for (const MatmulOutput& output : outputs) n_tasks += ceil_div(output.weight.n_out, step);

  const auto compute = [&](int64_t task, int thread) {
    for (const MatmulOutput& output : outputs) {
      const int64_t output_tasks = ceil_div(output.weight.n_out, step);
      if (task >= output_tasks) {
        task -= output_tasks;
        continue;
      }
      const int64_t begin = task * step;
      multiply_rows(x, output, tiles, begin, std::min(begin + step, output.weight.n_out),
                    part_of(scratch, thread));
      return;
    }
  };
  for_tasks(n_rows * x.width * x.n, n_tasks, compute);
}

void CpuOps::multiply_rows(const ConstRows& x, const MatmulOutput& output, const uint8_t* tiles,
                           int64_t begin, int64_t end, uint8_t* scratch) const {
  Product product = product_of(output.weight, 0);
  product.n_tokens = x.n;
  product.activations = tiles;
  product.x = x.data;
  product.x_stride = x.stride;
  product.y = output.y;
  product.y_stride = output.y_stride;
  product.bias = output.bias;
  product.scale = output.scale;
  product.accumulate = output.accumulate;
  kernel_of(*table_.matmul, output.weight).run(product, begin, end, scratch);
}

// ---- feed-forward ------------------------------------------------------------------------------

// The activation goes from one product to the next in tiles of int8 alone: a task computes some of
// its columns for kColumnTokens tokens at a time, in memory that stays in the cache.
constexpr int64_t kColumnTokens = 256;

int64_t CpuOps::column_floats() const {
  return 2 * kColumnTokens * std::max<int64_t>(table_.matmul->task_rows, 32);
}

size_t CpuOps::feed_forward_bytes(int64_t n_tokens, int64_t n_ff) const {
  const auto n_floats = static_cast<size_t>(pool_.n_threads() * column_floats());
  return tiles_bytes(n_tokens, n_ff) + n_floats * sizeof(float);
}

void CpuOps::feed_forward(const FeedForwardParams& params) {
  const ConstRows& x = params.x;
  const MatmulKernels& kernels = *table_.matmul;
  const ProductKernel& first = kernel_of(kernels, params.inner.front().weight);
  const bool is_split =
      std::any_of(params.inner.begin(), params.inner.end(), [&](const MatmulOutput& output) {
        const ProductKernel& kernel = kernel_of(kernels, output.weight);
        return kernel.is_float != first.is_float || kernel.activations != first.activations;
      });
  // Few tokens wait for memory, which brings one matrix after the other faster than parts of two.
  const bool are_few = x.n < kernels.tile_tokens;
  if (are_few || is_split || observer_ != nullptr ||
      kernel_of(kernels, params.down.weight).is_float) {
    Ops::feed_forward(params);
    return;
  }
  const int64_t n_ff = params.down.weight.n_in;
  const uint8_t* tiles = first.is_float ? nullptr : quantize_on_all(first.activations, x);
  uint8_t* hidden = feed_forward_.get(feed_forward_bytes(x.n, n_ff));
  auto* columns = reinterpret_cast<float*>(hidden + tiles_bytes(x.n, n_ff));
  uint8_t* scratch = product_scratch();
  // Whole groups of what shares a scale.
  const int64_t rows = rows_per_task(static_cast<int64_t>(params.inner.size()) * n_ff, x.n);
  const int64_t step = ceil_div(rows, 32) * 32;
  for_tasks(n_ff * x.width * x.n, ceil_div(n_ff, step), [&](int64_t task, int thread) {
    activate_columns(params, tiles, task * step, std::min((task + 1) * step, n_ff), hidden,
                     columns + thread * column_floats(), part_of(scratch, thread));
  });
  multiply(params.activation.y, {&params.down, 1}, hidden);
}

void CpuOps::activate_columns(const FeedForwardParams& params, const uint8_t* x, int64_t begin,
                              int64_t end, uint8_t* hidden, float* columns,
                              uint8_t* scratch) const {
  const int64_t n_ff = params.down.weight.n_in;
  const int64_t width = end - begin;
  const ActivationGroup group = kernel_of(*table_.matmul, params.down.weight).activations;
  for (int64_t token = 0; token < params.x.n; token += kColumnTokens) {
    const int64_t tile = token / table_.matmul->tile_tokens;
    const ConstRows rows(params.x.data + token * params.x.stride,
                         std::min(kColumnTokens, params.x.n - token), params.x.width,
                         params.x.stride);
    const uint8_t* tiles =
        x == nullptr ? nullptr : x + static_cast<size_t>(tile) * tile_bytes(rows.width);
    GatedActivationParams activation = params.activation;
    ConstRows* const read[] = {&activation.gate, &activation.up};
    for (size_t i = 0; i < params.inner.size(); ++i) {
      MatmulOutput part = params.inner[i];
      part.weight.data = part.weight.row(0, begin);
      if (part.bias != nullptr) part.bias += begin;
      part.y = columns + static_cast<int64_t>(i) * rows.n * width;
      part.y_stride = width;
      multiply_rows(rows, part, tiles, 0, width, scratch);
      *read[i] = {part.y, rows.n, width, width};
    }
    activation.y = {columns, rows.n, width, width};
    table_.rows->gated_activation(activation, {0, rows.n, 0, width});
    quantize_rows(
        group, [&](int64_t t) { return columns + t * width; }, rows.n, width, tile_bytes(n_ff),
        hidden + static_cast<size_t>(tile) * tile_bytes(n_ff) + tile_bytes(begin));
  }
}

// ---- experts -----------------------------------------------------------------------------------

// Pairs in the order of their experts: a counting sort.
CpuOps::ExpertPairs CpuOps::sort_pairs(const ExpertMatmulParams& params) {
  const int64_t n_pairs = params.n_pairs;
  const int64_t n_experts = params.outputs[0].weight.n_matrices;
  auto* first = reinterpret_cast<int32_t*>(
      indices_.get(static_cast<size_t>(3 * (n_experts + 1) + 2 * n_pairs) * sizeof(int32_t)));
  int32_t* next = first + n_experts + 1;
  int32_t* first_tile = next + n_experts + 1;
  int32_t* x_rows = first_tile + n_experts + 1;
  int32_t* y_rows = x_rows + n_pairs;
  std::fill(first, first + n_experts + 1, 0);
  for (int64_t i = 0; i < n_pairs; ++i) ++first[params.experts[i] + 1];
  first_tile[0] = 0;
  for (int64_t e = 0; e < n_experts; ++e) {
    first_tile[e + 1] =
        first_tile[e] + static_cast<int32_t>(ceil_div(first[e + 1], table_.matmul->tile_tokens));
    first[e + 1] += first[e];
    next[e] = first[e];
  }
  for (int64_t i = 0; i < n_pairs; ++i) {
    const int32_t at = next[params.experts[i]]++;
    x_rows[at] = static_cast<int32_t>(i / params.pairs_per_row);
    y_rows[at] = static_cast<int32_t>(i);
  }
  return {n_experts, n_pairs, first, first_tile, x_rows, y_rows};
}

void CpuOps::expert_matmul(const ExpertMatmulParams& params) {
  if (params.n_pairs == 0 || params.outputs.empty()) return;
  tell(observer_, params);
  const ExpertPairs pairs = sort_pairs(params);
  for_each_group(
      *table_.matmul, params.outputs,
      [&](std::span<const ExpertMatmulOutput> outputs, ActivationGroup group, bool blocks) {
        const size_t bytes = tile_bytes(params.x.width);
        uint8_t* tiles = nullptr;
        if (blocks) {
          tiles = activations_.get(static_cast<size_t>(pairs.first_tile[pairs.n_experts]) * bytes);
          pool_.parallel_for(pairs.n_experts, [&](int64_t e) {
            const int32_t* x_rows = pairs.x_rows + pairs.first[e];
            quantize_rows(
                group, [&](int64_t i) { return params.x.data + x_rows[i] * params.x.stride; },
                pairs.first[e + 1] - pairs.first[e], params.x.width, bytes,
                tiles + static_cast<size_t>(pairs.first_tile[e]) * bytes);
          });
        }
        multiply_experts(params.x, pairs, outputs, tiles);
      });
}

void CpuOps::multiply_experts(const ConstRows& x, const ExpertPairs& pairs,
                              std::span<const ExpertMatmulOutput> outputs, const uint8_t* tiles) {
  int64_t rows_per_expert = 0;
  for (const ExpertMatmulOutput& output : outputs) rows_per_expert += output.weight.n_out;
  uint8_t* scratch = product_scratch();
  const int64_t step = rows_per_task(rows_per_expert * std::min(pairs.n_pairs, pairs.n_experts),
                                     ceil_div(pairs.n_pairs, pairs.n_experts));
  int64_t tasks_per_expert = 0;
  for (const ExpertMatmulOutput& output : outputs) {
    tasks_per_expert += ceil_div(output.weight.n_out, step);
  }
  pool_.parallel_for_neighbours(pairs.n_experts * tasks_per_expert, [&](int64_t task, int thread) {
    const int64_t expert = task / tasks_per_expert;
    const int32_t first = pairs.first[expert];
    const int64_t n = pairs.first[expert + 1] - first;
    if (n == 0) return;
    int64_t part = task % tasks_per_expert;
    for (const ExpertMatmulOutput& output : outputs) {
      const int64_t n_out = output.weight.n_out;
      if (part >= ceil_div(n_out, step)) {
        part -= ceil_div(n_out, step);
        continue;
      }
      Product product = product_of(output.weight, expert);
      product.n_tokens = n;
      if (tiles != nullptr) {
        product.activations =
            tiles + static_cast<size_t>(pairs.first_tile[expert]) * tile_bytes(x.width);
      }
      product.x = x.data;
      product.x_stride = x.stride;
      product.x_rows = pairs.x_rows + first;
      product.y = output.y;
      product.y_stride = output.y_stride;
      product.y_rows = pairs.y_rows + first;
      product.bias = output.bias == nullptr ? nullptr : output.bias + expert * n_out;
      product.scale = output.scale == nullptr ? nullptr : output.scale + expert;
      kernel_of(*table_.matmul, output.weight)
          .run(product, part * step, std::min((part + 1) * step, n_out), part_of(scratch, thread));
      return;
    }
  });
}

void CpuOps::head_matmul(const HeadMatmulParams& params) {
  const Weight& weight = params.weight;
  if (params.x.n == 0) return;
  tell(observer_, params);
  const ProductKernel& kernel = kernel_of(*table_.matmul, weight);
  // Of a thread.
  const size_t bytes = kernel.is_float ? 0 : tiles_bytes(params.x.n, weight.n_in);
  uint8_t* tiles = activations_.get(static_cast<size_t>(pool_.n_threads()) * bytes);
  uint8_t* scratch = product_scratch();
  pool_.parallel_for_indexed(weight.n_matrices, [&](int64_t head, int thread) {
    const float* x = params.x.data + head * params.x_head_stride;
    uint8_t* own = tiles + static_cast<size_t>(thread) * bytes;
    if (!kernel.is_float) {
      quantize_rows(
          kernel.activations, [&](int64_t row) { return x + row * params.x.stride; }, params.x.n,
          weight.n_in, tile_bytes(weight.n_in), own);
    }
    Product product = product_of(weight, head);
    product.n_tokens = params.x.n;
    product.activations = own;
    product.x = x;
    product.x_stride = params.x.stride;
    product.y = params.y.data + head * params.y_head_stride;
    product.y_stride = params.y.stride;
    kernel.run(product, 0, weight.n_out, part_of(scratch, thread));
  });
}

}  // namespace llmrun::kernels::cpu
