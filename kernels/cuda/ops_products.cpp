// Products, and what they read: rows in int8, which the op before has left or which are made first.
#include <algorithm>
#include <vector>

#include "kernels/cuda/ops.h"
#include "kernels/cuda/sizes.h"
#include "kernels/tensor_type.h"

namespace llmrun::kernels::cuda {
namespace {

bool is_float(const Weight& weight) { return quant::traits(weight.type).is_float; }

template <typename Outputs>
bool any_blocks(const Outputs& outputs) {
  return std::any_of(outputs.begin(), outputs.end(),
                     [](const auto& output) { return !is_float(output.weight); });
}

bool same_rows(const ConstRows& a, const ConstRows& b) {
  return a.data == b.data && a.n == b.n && a.width == b.width && a.stride == b.stride;
}

ProductParams product_params(const MatmulOutput& output, const ConstRows& x,
                             const QuantizedRows& rows) {
  ProductParams p;
  p.weight = output.weight;
  p.rows = rows;
  p.x = x.data;
  p.x_stride = x.stride;
  p.job.count = static_cast<int32_t>(x.n);
  p.max_count = p.job.count;
  p.bias = output.bias;
  p.scale = output.scale;
  p.y = output.y;
  p.y_stride = output.y_stride;
  p.accumulate = output.accumulate;
  return p;
}

// Whether gate and up can be one launch with the activation.
bool is_gated_pair(const FeedForwardParams& params) {
  if (params.x.n == 0 || params.x.n > kDecodeRows || params.inner.size() != 2) return false;
  const Weight& gate = params.inner[0].weight;
  const Weight& up = params.inner[1].weight;
  return gate.type == up.type && gate.n_out == up.n_out;
}

// The lists of rows, and the jobs, in pairs_bytes() at `at`.
GroupPairsParams pairs_by_expert(const ExpertMatmulParams& params, std::byte* at) {
  auto* const lists = reinterpret_cast<int32_t*>(at);
  const size_t lists_bytes = aligned(2 * static_cast<size_t>(params.n_pairs) * sizeof(int32_t));
  const int64_t n_experts = params.outputs[0].weight.n_matrices;
  GroupPairsParams group;
  group.experts = params.experts;
  group.n_pairs = params.n_pairs;
  group.n_experts = static_cast<int32_t>(n_experts);
  group.pairs_per_row = params.pairs_per_row;
  group.x_rows = lists;
  group.y_rows = lists + params.n_pairs;
  group.jobs = reinterpret_cast<ProductJob*>(at + lists_bytes);
  group.n_jobs = static_cast<int32_t>(std::min(params.n_pairs, n_experts));
  return group;
}

}  // namespace

QuantizedRows CudaOps::lay_out(std::byte* at, int64_t n_values) {
  const auto n = static_cast<size_t>(n_values);
  QuantizedRows rows;
  rows.q = reinterpret_cast<int8_t*>(at);
  at += aligned(n);
  rows.scales = reinterpret_cast<float*>(at);
  at += aligned(n / 16 * sizeof(float));
  rows.sums = reinterpret_cast<float*>(at);
  return rows;
}

QuantizedRows CudaOps::quantize(const ConstRows& x, int64_t n_inner, int64_t inner_stride,
                                int64_t width, std::byte* to) {
  QuantizeParams params;
  params.x = x;
  params.n_inner = n_inner;
  params.inner_stride = inner_stride;
  params.width = width;
  params.out = lay_out(to, x.n * n_inner * width);
  check(launch_quantize(params, queue_), "quantize");
  return params.out;
}

QuantizedRows CudaOps::beside(const Rows& y) {
  if (!quantizes_ || y.n == 0 || y.width % 32 != 0) return {};
  std::byte* const to = scratch(quantized_bytes(y.n, y.width), "scratch of products");
  return to == nullptr ? QuantizedRows{} : lay_out(to, y.n * y.width);
}

QuantizedRows CudaOps::int8_rows(const ConstRows& x, size_t bytes) {
  quantizes_ = true;
  if (beside_.quantized.q != nullptr && same_rows(beside_.rows, x) && bytes <= scratch_.size()) {
    return beside_.quantized;
  }
  std::byte* const to = scratch(bytes, "scratch of products");
  return to == nullptr ? QuantizedRows{} : quantize(x, 1, 0, x.width, to);
}

void CudaOps::launch_all(std::span<ProductParams> products, std::string_view what) {
  std::stable_sort(products.begin(), products.end(),
                   [](const auto& a, const auto& b) { return a.weight.type < b.weight.type; });
  while (!products.empty()) {
    const auto fits = [&](size_t n) {
      const auto before = products.first(n);
      return n < kMaxProducts && products[n].weight.type == products[0].weight.type &&
             std::none_of(before.begin(), before.end(),
                          [&](const ProductParams& p) { return p.y == products[n].y; });
    };
    size_t n = 1;
    while (n < products.size() && fits(n)) ++n;
    check(launch_products(products.first(n), queue_), what);
    products = products.subspan(n);
  }
}

ProductForm CudaOps::form_of(const MatmulParams& params) const {
  if (params.x.n <= kDecodeRows) return ProductForm::kMma;
  if (form_) return *form_;
  int64_t n_out = 0;
  for (const MatmulOutput& output : params.outputs) n_out += output.weight.n_out;
  return product_form(capability_, params.x.n, n_out);
}

void CudaOps::matmul(const MatmulParams& params) {
  const ConstRows& x = params.x;
  if (x.n == 0) return;
  QuantizedRows rows;
  std::byte* packed = nullptr;
  if (any_blocks(params.outputs)) {
    const size_t bytes = quantized_bytes(x.n, x.width);
    const size_t more =
        form_of(params) == ProductForm::kWarpGroups ? packed_bytes(x.n, x.width) : 0;
    rows = int8_rows(x, bytes + more);
    if (rows.q == nullptr) return;
    if (more > 0) {
      packed = reinterpret_cast<std::byte*>(rows.q) + bytes;
      check(launch_pack({rows, x.n, x.width, packed}, queue_), "packing");
    }
  }
  std::vector<ProductParams> products;
  products.reserve(params.outputs.size());
  for (const MatmulOutput& output : params.outputs) {
    products.push_back(product_params(output, x, rows));
    if (!is_float(output.weight)) products.back().packed = packed;
  }
  launch_all(products, "matmul");
}

// Of few tokens gate, up and the activation are one launch.
void CudaOps::feed_forward(const FeedForwardParams& params) {
  if (!is_gated_pair(params)) {
    Ops::feed_forward(params);
    return;
  }
  const ConstRows& x = params.x;
  const MatmulOutput& gate = params.inner[0];
  const MatmulOutput& up = params.inner[1];
  const Rows& y = params.activation.y;
  const size_t read = is_float(gate.weight) ? 0 : quantized_bytes(x.n, x.width);
  const size_t written = is_float(params.down.weight) ? 0 : quantized_bytes(y.n, y.width);
  QuantizedRows rows;
  std::byte* to = nullptr;  // where the activation is left in int8
  if (read > 0) {
    rows = int8_rows(x, read + written);
    if (rows.q == nullptr) return;
    to = reinterpret_cast<std::byte*>(rows.q) + read;
  } else if (written > 0) {
    to = scratch(written, "scratch of products");
    if (to == nullptr) return;
  }
  const QuantizedRows hidden = written > 0 ? lay_out(to, y.n * y.width) : QuantizedRows{};
  check(launch_gated_products(product_params(gate, x, rows), product_params(up, x, rows),
                              params.activation, hidden, queue_),
        "feed_forward");
  beside_ = {y, hidden};
  matmul({.x = y, .outputs = {&params.down, 1}});
}

void CudaOps::expert_matmul(const ExpertMatmulParams& params) {
  if (params.n_pairs == 0 || params.outputs.empty()) return;
  const bool quantizes = any_blocks(params.outputs);
  const size_t quantized = quantizes ? quantized_bytes(params.x.n, params.x.width) : 0;
  std::byte* const at = scratch(quantized + pairs_bytes(params.n_pairs), "scratch of experts");
  if (at == nullptr) return;
  const GroupPairsParams group = pairs_by_expert(params, at + quantized);
  check(launch_group_pairs(group, queue_), "grouping by experts");
  ProductParams p;
  if (quantizes) p.rows = quantize(params.x, 1, 0, params.x.width, at);
  p.x = params.x.data;
  p.x_stride = params.x.stride;
  p.x_rows = group.x_rows;
  p.y_rows = group.y_rows;
  p.jobs = group.jobs;
  p.n_jobs = group.n_jobs;
  p.max_count = static_cast<int32_t>(std::min(params.max_per_expert, params.n_pairs));
  std::vector<ProductParams> products;
  products.reserve(params.outputs.size());
  for (const ExpertMatmulOutput& output : params.outputs) {
    p.weight = output.weight;
    p.bias = output.bias;
    p.bias_matrix_stride = output.weight.n_out;
    p.scale = output.scale;
    p.scale_matrix_stride = 1;
    p.y = output.y;
    p.y_stride = output.y_stride;
    products.push_back(p);
  }
  launch_all(products, "expert_matmul");
}

void CudaOps::head_matmul(const HeadMatmulParams& params) {
  const Weight& weight = params.weight;
  if (params.x.n == 0) return;
  ProductParams p;
  p.weight = weight;
  if (!is_float(weight)) {
    std::byte* const to = scratch(quantized_bytes(params.x.n * weight.n_matrices, weight.n_in),
                                  "scratch of products");
    if (to == nullptr) return;
    p.rows = quantize(params.x, weight.n_matrices, params.x_head_stride, weight.n_in, to);
  }
  p.n_inner = weight.n_matrices;
  p.x = params.x.data;
  p.x_stride = params.x.stride;
  p.x_matrix_stride = params.x_head_stride;
  p.job.count = static_cast<int32_t>(params.x.n);
  p.n_jobs = static_cast<int32_t>(weight.n_matrices);
  p.max_count = p.job.count;
  p.y = params.y.data;
  p.y_stride = params.y.stride;
  p.y_matrix_stride = params.y_head_stride;
  check(launch_products(std::span(&p, 1), queue_), "head_matmul");
}

void CudaOps::embed(const EmbedParams& params) {
  const int32_t* const ids = upload(params.ids.data(), params.ids.size());
  if (ids == nullptr) return;
  check(launch_embed(params, ids, static_cast<int64_t>(params.ids.size()), queue_), "embed");
}

}  // namespace llmrun::kernels::cuda
