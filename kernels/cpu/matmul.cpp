// Products on the CPU: quantises activations once per call and divides weight rows among threads.
#include <algorithm>

#include "kernels/cpu/ops.h"
#include "kernels/tensor_type.h"

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

bool is_float(const Weight& weight) { return quant::traits(weight.type).is_float; }

// Products below this many multiply-adds are done before another thread would have woken up.
constexpr int64_t kInlineWork = int64_t{1} << 16;

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

uint8_t* CpuOps::product_scratch() {
  return scratch_.get(static_cast<size_t>(pool_.n_threads()) * table_.matmul->product_scratch);
}

// Quantises x's rows x_rows[0..n_rows) (null: in order) into tiles.
uint8_t* CpuOps::quantize_rows(const ConstRows& x, const int32_t* x_rows, int64_t n_rows,
                               uint8_t* tiles) {
  const int64_t tile_tokens = table_.matmul->tile_tokens;
  const size_t bytes = tile_bytes(x.width);
  const auto quantize = [&](int64_t tile) {
    constexpr int64_t kMaxTile = 16;
    const float* rows[kMaxTile];
    const int64_t first = tile * tile_tokens;
    const int64_t n = std::min(tile_tokens, n_rows - first);
    for (int64_t t = 0; t < n; ++t) {
      const int64_t row = x_rows == nullptr ? first + t : x_rows[first + t];
      rows[t] = x.data + row * x.stride;
    }
    table_.matmul->quantize_tile(rows, n, x.width, tiles + static_cast<size_t>(tile) * bytes);
  };
  pool_.parallel_for(ceil_div(n_rows, tile_tokens), quantize);
  return tiles;
}

void CpuOps::matmul(const MatmulParams& params) {
  const ConstRows& x = params.x;
  if (x.n == 0) return;
  tell(observer_, params);
  bool any_blocks = false;
  int64_t n_rows = 0;
  for (const MatmulOutput& output : params.outputs) {
    any_blocks = any_blocks || !is_float(output.weight);
    n_rows += output.weight.n_out;
  }
  uint8_t* tiles = nullptr;
  if (any_blocks) {
    const auto n_tiles = static_cast<size_t>(ceil_div(x.n, table_.matmul->tile_tokens));
    tiles = quantize_rows(x, nullptr, x.n, activations_.get(n_tiles * tile_bytes(x.width)));
  }
  uint8_t* scratch = product_scratch();
  const int64_t step = rows_per_task(n_rows, x.n);
  int64_t n_tasks = 0;
  for (const MatmulOutput& output : params.outputs) n_tasks += ceil_div(output.weight.n_out, step);

  const auto compute = [&](int64_t task, int thread) {
    for (const MatmulOutput& output : params.outputs) {
      const int64_t output_tasks = ceil_div(output.weight.n_out, step);
      if (task >= output_tasks) {
        task -= output_tasks;
        continue;
      }
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
      const int64_t begin = task * step;
      table_.matmul->products[static_cast<size_t>(output.weight.type)](
          product, begin, std::min(begin + step, output.weight.n_out),
          scratch + static_cast<size_t>(thread) * table_.matmul->product_scratch);
      return;
    }
  };
  if (n_rows * x.width * x.n <= kInlineWork) {
    for (int64_t task = 0; task < n_tasks; ++task) compute(task, 0);
  } else {
    pool_.parallel_for_neighbours(n_tasks, compute);
  }
}

void CpuOps::expert_matmul(const ExpertMatmulParams& params) {
  const int64_t n_pairs = params.n_pairs;
  if (n_pairs == 0 || params.outputs.empty()) return;
  tell(observer_, params);
  const int64_t n_experts = params.outputs[0].weight.n_matrices;
  const int64_t tile_tokens = table_.matmul->tile_tokens;

  // Pairs in the order of their experts (counting sort): first[e] is where expert e's begin.
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
    first_tile[e + 1] = first_tile[e] + static_cast<int32_t>(ceil_div(first[e + 1], tile_tokens));
    first[e + 1] += first[e];
    next[e] = first[e];
  }
  for (int64_t i = 0; i < n_pairs; ++i) {
    const int32_t at = next[params.experts[i]]++;
    x_rows[at] = static_cast<int32_t>(i / params.pairs_per_row);
    y_rows[at] = static_cast<int32_t>(i);
  }

  bool any_blocks = false;
  int64_t rows_per_expert = 0;
  for (const ExpertMatmulOutput& output : params.outputs) {
    any_blocks = any_blocks || !is_float(output.weight);
    rows_per_expert += output.weight.n_out;
  }
  const size_t bytes = tile_bytes(params.x.width);
  uint8_t* tiles = nullptr;
  if (any_blocks) {
    tiles = activations_.get(static_cast<size_t>(first_tile[n_experts]) * bytes);
    pool_.parallel_for(n_experts, [&](int64_t e) {
      for (int64_t at = first[e]; at < first[e + 1]; at += tile_tokens) {
        constexpr int64_t kMaxTile = 16;
        const float* rows[kMaxTile];
        const int64_t n = std::min<int64_t>(tile_tokens, first[e + 1] - at);
        for (int64_t t = 0; t < n; ++t) rows[t] = params.x.data + x_rows[at + t] * params.x.stride;
        const int64_t tile = first_tile[e] + (at - first[e]) / tile_tokens;
        table_.matmul->quantize_tile(rows, n, params.x.width,
                                     tiles + static_cast<size_t>(tile) * bytes);
      }
    });
  }

  uint8_t* scratch = product_scratch();
  const int64_t step =
      rows_per_task(rows_per_expert * std::min(n_pairs, n_experts), ceil_div(n_pairs, n_experts));
  int64_t tasks_per_expert = 0;
  for (const ExpertMatmulOutput& output : params.outputs) {
    tasks_per_expert += ceil_div(output.weight.n_out, step);
  }
  pool_.parallel_for_neighbours(n_experts * tasks_per_expert, [&](int64_t task, int thread) {
    const int64_t expert = task / tasks_per_expert;
    const int64_t n = first[expert + 1] - first[expert];
    if (n == 0) return;
    int64_t part = task % tasks_per_expert;
    for (const ExpertMatmulOutput& output : params.outputs) {
      const int64_t n_out = output.weight.n_out;
      if (part >= ceil_div(n_out, step)) {
        part -= ceil_div(n_out, step);
        continue;
      }
      Product product = product_of(output.weight, expert);
      product.n_tokens = n;
      if (tiles != nullptr) {
        product.activations = tiles + static_cast<size_t>(first_tile[expert]) * bytes;
      }
      product.x = params.x.data;
      product.x_stride = params.x.stride;
      product.x_rows = x_rows + first[expert];
      product.y = output.y;
      product.y_stride = output.y_stride;
      product.y_rows = y_rows + first[expert];
      product.bias = output.bias == nullptr ? nullptr : output.bias + expert * n_out;
      product.scale = output.scale == nullptr ? nullptr : output.scale + expert;
      table_.matmul->products[static_cast<size_t>(output.weight.type)](
          product, part * step, std::min((part + 1) * step, n_out),
          scratch + static_cast<size_t>(thread) * table_.matmul->product_scratch);
      return;
    }
  });
}

void CpuOps::head_matmul(const HeadMatmulParams& params) {
  const Weight& weight = params.weight;
  if (params.x.n == 0) return;
  tell(observer_, params);
  const int64_t tile_tokens = table_.matmul->tile_tokens;
  const auto n_tiles = static_cast<size_t>(ceil_div(params.x.n, tile_tokens));
  const size_t bytes = tile_bytes(weight.n_in);
  const bool blocks = !is_float(weight);
  uint8_t* tiles =
      blocks ? activations_.get(static_cast<size_t>(pool_.n_threads()) * n_tiles * bytes) : nullptr;
  uint8_t* scratch = product_scratch();
  pool_.parallel_for_indexed(weight.n_matrices, [&](int64_t head, int thread) {
    const float* x = params.x.data + head * params.x_head_stride;
    uint8_t* own = tiles + static_cast<size_t>(thread) * n_tiles * bytes;
    for (int64_t t0 = 0; blocks && t0 < params.x.n; t0 += tile_tokens) {
      constexpr int64_t kMaxTile = 16;
      const float* rows[kMaxTile];
      const int64_t n = std::min(tile_tokens, params.x.n - t0);
      for (int64_t t = 0; t < n; ++t) rows[t] = x + (t0 + t) * params.x.stride;
      table_.matmul->quantize_tile(rows, n, weight.n_in,
                                   own + static_cast<size_t>(t0 / tile_tokens) * bytes);
    }
    Product product = product_of(weight, head);
    product.n_tokens = params.x.n;
    product.activations = own;
    product.x = x;
    product.x_stride = params.x.stride;
    product.y = params.y.data + head * params.y_head_stride;
    product.y_stride = params.y.stride;
    table_.matmul->products[static_cast<size_t>(weight.type)](
        product, 0, weight.n_out,
        scratch + static_cast<size_t>(thread) * table_.matmul->product_scratch);
  });
}

}  // namespace llmrun::kernels::cpu
